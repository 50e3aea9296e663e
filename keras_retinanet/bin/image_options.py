"""Arguments about pictures that several commands share: their size, order and random changes."""

from ..errors import InputError
from .choices import AUGMENTATIONS, OPERATIONS, choice_of
from .cli import check_sides


def add_size_arguments(parser, min_side=800, max_side=1333):
    """The size of the model's input; without a default it is that of the model."""
    for name, side in {"--image-min-side": min_side, "--image-max-side": max_side}.items():
        parser.add_argument(
            name, type=int, default=side, help=f"px ({side or 'that of the model'})"
        )
    parser.add_argument("--no-resize", action="store_true", help="leave images as they are")


def size_options(args, model):
    """Options of a `Generator`: the sizes that are asked for, else those of the model."""
    min_side = args.image_min_side or model.image_min_side or args.image_max_side
    max_side = args.image_max_side or model.image_max_side or args.image_min_side
    check_sides(min_side, max_side, (model.image_min_side, model.image_max_side))
    sides = {"image_min_side": min_side, "image_max_side": max_side}
    return {**sides, "no_resize": args.no_resize}


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
