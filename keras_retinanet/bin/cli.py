"""What the commands share: errors as one sentence, checks of arguments, models from files."""

import contextlib
import dataclasses
import math
import os
import re
import sys
import warnings

from ..errors import InputError
from ..utils.outputs import check_outputs
from ..utils.text import listed

RANGES = {  # what a number must be: (the test, the arguments)
    "more than 0": (
        lambda value: 0 < value < math.inf,
        (
            "accumulate",
            "batch_size",
            "epochs",
            "feature_size",
            "head_size",
            "image_max_side",
            "image_min_side",
            "lr",
            "max_detections",
            "max_queue_size",
            "optimizer_clipnorm",
            "multi_scale",
            "number",
            "steps",
            "warmup_loss_epochs",
        ),
    ),
    "0 or more": (
        lambda value: 0 <= value < math.inf,
        (
            "head_depth",
            "initial_epoch",
            "multi_gpu",
            "reduce_lr_patience",
            "weight_decay",
            "workers",
        ),
    ),
    "a number from 0 to 1": (
        lambda value: 0 <= value <= 1,
        ("iou_threshold", "nms_threshold", "repeat_threshold", "score_threshold"),
    ),
    "0 to 4294967295": (lambda value: 0 <= value < 2**32, ("seed",)),
    "a number between 0 and 1": (lambda value: 0 < value < 1, ("reduce_lr_factor",)),
}


@contextlib.contextmanager
def user_errors(program):
    """Turns an InputError, or a file that cannot be read or written, into one sentence and exit
    status 2, and warnings into one line each.
    """

    def show(message, category, *_, **__):
        if issubclass(category, UserWarning):
            print(f"{program}: warning: {message}", file=sys.stderr, flush=True)

    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with warnings.catch_warnings():
        warnings.showwarning = show
        try:
            yield
        except InputError as error:
            print(f"{program}: error: {error}", file=sys.stderr)
            sys.exit(2)
        except BrokenPipeError:  # whoever read the output, such as `head`, has enough
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            sys.exit(1)
        except OSError as error:
            if error.errno is None:
                raise
            where = "" if error.filename is None else f"{error.filename}: "
            print(f"{program}: error: {where}{error.strerror}", file=sys.stderr)
            sys.exit(2)
        except KeyboardInterrupt:
            print(f"\n{program}: stopped", file=sys.stderr)
            sys.exit(130)


def check_numbers(parser, args):
    """The arguments, or a usage error where a number makes no sense."""
    for expected, (fits, names) in RANGES.items():
        for name in names:
            value = getattr(args, name, None)
            values = value if isinstance(value, list) else [value]
            if value is not None and not all(map(fits, values)):
                parser.error(f"--{name.replace('_', '-')}: expected {expected}. Received: {value}")
    return args


def check_sides(min_side, max_side, own=(None, None)):
    """InputError where the short side would be longer than the long one, unless both are a model's
    `own`: there they may stand for height and width.
    """
    sides = min_side, max_side
    if None in sides or min_side <= max_side or sides == own:
        return
    pairs = zip(sides, own, strict=True)
    told = [f"{side}, the model's," if side == held else str(side) for side, held in pairs]
    raise InputError(
        f"--image-min-side: expected at most --image-max-side. Received: {' and '.join(told)}"
    )


def check_folder(path):
    """Makes a folder to write into; InputError, before any work is done, where that cannot be."""
    try:
        os.makedirs(path, exist_ok=True)
    except OSError as error:
        raise InputError(f"{path}: cannot be made a folder: {error.strerror}") from None
    if not os.access(path, os.W_OK | os.X_OK):
        raise InputError(f"{path}: cannot be written to: permission denied")


def check_output_options(args, *names, inputs=(), more=None):
    """Check that the options of these names can be written without losing an input.

    Args:
        names: the arguments that name files to write; files that others name are inputs.
        inputs: further files that are read.
        more: {option: further files that it writes}.

    Raises:
        InputError: as `check_outputs`.
    """
    outputs = {f"--{name.replace('_', '-')}": getattr(args, name) for name in names}
    outputs = {option: [path] for option, path in outputs.items() if path is not None}
    others = [value for name, value in vars(args).items() if name not in names]
    named = [path for value in others for path in (value if isinstance(value, list) else [value])]
    files = [path for path in named if isinstance(path, str) and os.path.isfile(path)]
    check_outputs(outputs | (more or {}), [*files, *inputs])


def choose_gpu(gpu):
    """Makes only the device of `--gpu` visible, if one is named."""
    if gpu is not None:
        from ..utils.gpu import setup_gpu

        setup_gpu(gpu)


def start_backend():
    """Imports Keras, keeping the greetings of the backend's libraries off the terminal."""
    sys.stderr.flush()
    terminal, silence = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(silence, 2)
    try:
        import keras  # noqa: F401
    finally:
        os.dup2(terminal, 2)
        os.close(terminal)
        os.close(silence)


def chosen_backbone(args):
    """The Backbone of --backbone, the default one where it is not given."""
    from ..models import backbone

    try:
        return backbone(args.backbone or "resnet50")
    except ValueError as error:
        raise InputError(f"--backbone: {error}") from None


def load_keras(path, compile=True):
    """The model in a `.keras` file; InputError if there is none."""
    if not os.path.isfile(path):
        what = "expected a .keras file. Received: a folder"
        raise InputError(f"{path}: {what if os.path.isdir(path) else 'no such file'}")
    start_backend()
    from ..models import load_model

    try:
        return load_model(path, compile=compile)
    except Exception as error:  # Keras raises many kinds for a file that is not its own
        unknown = re.search(r"Could not locate class '(\w+)'", str(error))
        words = (str(error).strip() or type(error).__name__).splitlines()[0].partition(". ")[0]
        reason = f"it has layers of the class {unknown[1]}, unknown here" if unknown else words
        raise InputError(f"{path}: expected a model in Keras's .keras format ({reason})") from None


def load_snapshot(path, backbone=None, compile=True):
    """The RetinaNet in a `.keras` file; InputError if there is none, or it has another backbone.

    It is compiled as it was saved, to go on with its training, where `compile` is True.
    """
    model = load_keras(path, compile)
    from ..models import RetinaNet

    if not isinstance(model, RetinaNet):
        outputs = ", ".join(getattr(model, "output_names", None) or ["unknown"])
        held = f"a {type(model).__name__} with outputs {outputs}"
        raise InputError(f"{path}: expected a RetinaNet. Received: {held}")
    check_backbone(path, model.backbone_name, backbone)
    return model


def check_backbone(path, held, asked):
    """InputError if the file at `path` holds another backbone than is asked for."""
    from ..models import same_backbone

    if asked is not None and held is not None and not same_backbone(asked, held):
        raise InputError(f"{path}: expected backbone {asked}. Received: {held}")


def load_inference_model(path, backbone=None, convert=False, config=None, **options):
    """The inference model in a `.keras` file, converted from a training model if `convert`.

    `config` is an INI file of anchors and `options` those of `convert_model`, for a training model.
    """
    model = load_snapshot(path, backbone, compile=False)
    if not model.is_training_model:
        held = model.detection.get("score_threshold", 0)
        if options.get("score_threshold", held) < held:
            warnings.warn(
                f"{path} holds detections of a score of {held} or more alone: convert it anew for "
                "a lower threshold",
                UserWarning,
                stacklevel=2,
            )
        return model
    if not convert:
        raise InputError(
            f"{path}: expected an inference model. Received: a training model; pass "
            "--convert-model, or convert it with retinanet-convert-model"
        )
    from ..models import convert_model

    return convert_model(model, **anchor_options(config, model), **options)


def num_classes(model):
    """The number of classes that a model tells apart."""
    return model.get_layer("classification").output.shape[-1]


def check_classes(path, model, class_names):
    """InputError unless the model in `path` knows the classes of a data set, in their order."""
    count = num_classes(model)
    if model.class_names not in (None, class_names) or count != len(class_names):
        held = listed(model.class_names or [f"{count} classes without names"])
        raise InputError(
            f"{path}: expected the classes {listed(class_names)} of the data set. Received: {held}"
        )


def anchor_options(path, model):
    """What an INI file says of the anchors, as arguments of `convert_model`; {} without a file."""
    if path is None:
        return {}
    anchors, levels = read_config(path)
    if levels != model.pyramid_levels:
        raise InputError(
            f"{path}: expected the pyramid levels {model.pyramid_levels} of the model. "
            f"Received: {levels}"
        )
    if anchors.num_anchors() != model.anchor_params.num_anchors():
        raise InputError(
            f"{path}: expected ratios and scales that make the {model.anchor_params.num_anchors()} "
            f"anchors of the model. Received: {anchors.num_anchors()}"
        )
    anchors = dataclasses.replace(model.anchor_params, **anchors.rows())
    return {"anchor_params": anchors, "pyramid_levels": levels}


def read_config(path, anchor_side=None):
    """(AnchorParameters, pyramid levels) of an INI file, the defaults where there is none.

    With `anchor_side` the default is one square anchor of that many strides at each place.
    """
    from ..utils.anchors import PYRAMID_LEVELS, AnchorParameters, square_anchors
    from ..utils.config import parse_anchor_parameters, parse_pyramid_levels, read_config_file

    if path is None:
        levels = list(PYRAMID_LEVELS)
        default = AnchorParameters.default
        return square_anchors(levels, anchor_side) if anchor_side else default, levels
    config = read_config_file(path)
    given = "pyramid_levels" in config
    levels = parse_pyramid_levels(config) if given else list(PYRAMID_LEVELS)
    anchors = parse_anchor_parameters(config)
    if levels != sorted(set(levels)) or not set(levels) <= set(range(2, 8)):
        raise InputError(
            f"{path}: [pyramid_levels] levels: expected some of 2 to 7 in ascending order. "
            f"Received: {levels}"
        )
    strides = [2**level for level in levels]
    if anchors.strides != strides:
        raise InputError(
            f"{path}: [anchor_parameters] strides: expected {strides} for the pyramid levels "
            f"{levels}. Received: {anchors.strides}"
        )
    return anchors, levels
