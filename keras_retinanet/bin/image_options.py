"""Arguments about pictures that several commands share: their size, order and random changes."""

from ..errors import InputError
from .choices import AUGMENTATIONS, OPERATIONS, choice_of


def add_size_arguments(parser, min_side=800, max_side=1333):
    """The size of the model's input; without a default it is that of the model."""
    for name, side in {"--image-min-side": min_side, "--image-max-side": max_side}.items():
        parser.add_argument(
            name, type=int, default=side, help=f"px ({side or 'that of the model'})"
        )
    parser.add_argument("--no-resize", action="store_true", help="leave images as they are")


def add_grouping_argument(parser, default="canvas"):
    parser.add_argument(
        "--group-method",
        default=default,
        choices=["canvas", "ratio", "random", "none"],
        help="which images share a batch, and their order (%(default)s)",
    )


def add_strict_argument(parser):
    parser.add_argument(
        "--strict",
        action="store_true",
        help="stop at images and boxes that cannot be used instead of dropping them",
    )


def add_augmentation_arguments(parser, default="default"):
    parser.add_argument(
        "--augmentation", default=default, choices=AUGMENTATIONS, help="(%(default)s)"
    )
    parser.add_argument("--random-transform", action="store_true", help="as --augmentation strong")
    parser.add_argument(
        "--augment",
        type=choice_of(OPERATIONS),
        action="append",
        default=[],
        metavar="NAME",
        help=f"besides --augmentation, or instead of what that does: {', '.join(OPERATIONS)}; "
        "NAME:chance=0.5,strength=1, with chance=0 to switch it off",
    )


def augmentation_of(args):
    """{operation: {"chance", "strength"}} of --augmentation and --augment.

    Raises:
        InputError: for arguments that an operation does not take.
    """
    from ..preprocessing.augmentation import AUGMENTATIONS, complete

    chosen = dict(AUGMENTATIONS["strong" if args.random_transform else args.augmentation])
    for asked in args.augment:
        arguments = {key: value for key, value in asked.items() if key != "name"}
        chosen[asked["name"]] = {**chosen.get(asked["name"], {}), **arguments}
    try:
        return complete(chosen)
    except ValueError as error:
        raise InputError(f"--augment: {error}") from None
