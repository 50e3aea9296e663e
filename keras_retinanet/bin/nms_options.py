"""The arguments that choose the NMS of an inference model. Imports nothing heavy."""

from ..errors import InputError
from .choices import choice_of

# named here too, for the module that defines them imports Keras
NMS = ("hard", "soft_linear", "soft_gaussian", "diou", "class_agnostic", "none")


def add_nms_arguments(parser, when=""):
    """--nms and --nms-threshold, None where they are not given; returns the group of --nms."""
    kinds = parser.add_mutually_exclusive_group()
    kinds.add_argument(
        "--nms",
        type=choice_of(NMS),
        metavar="NAME",
        help=f"{when}how to suppress boxes that overlap: {', '.join(NMS)}, or with its argument "
        "soft_gaussian:sigma=0.5 (the model's, or hard)",
    )
    parser.add_argument(
        "--nms-threshold",
        type=float,
        help=f"{when}IoU, of diou DIoU, above which boxes suppress each other; none and "
        "soft_gaussian do not use it (the model's, or 0.5)",
    )
    return kinds


def nms_options(args):
    """What the arguments say of NMS, as arguments of `convert_model`; {} where they say nothing."""
    asked = {"nms": args.nms, "nms_threshold": args.nms_threshold}
    return {name: value for name, value in asked.items() if value is not None}


def check_nms(path, model, args):
    """InputError if the inference model in `path` has another NMS than the arguments ask for."""
    from ..nms import config

    for name, asked in nms_options(args).items():
        asked = config(asked) if name == "nms" else asked
        held = model.detection.get(name)
        if held != asked:
            raise InputError(
                f"{path}: expected a training model for --{name.replace('_', '-')} {told(asked)}. "
                f"Received: an inference model, which holds its own: {told(held)}"
            )


def told(value):
    """A value as it stands on a command line, such as soft_gaussian:sigma=0.3."""
    if not isinstance(value, dict):
        return value
    arguments = [f"{key}={value[key]}" for key in value if key != "name"]
    return f"{value['name']}:{','.join(arguments)}"
