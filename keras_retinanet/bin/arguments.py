"""Command-line options made from the fields of a config."""

from __future__ import annotations

import argparse
import contextlib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from ..choices import ENGINE_PRECISIONS, ENGINES, NMS
from ..errors import InputError
from ..options import BATCH, DETECTIONS, SHARE, SIDE, THREADS, Option, fits, options_of
from ..training.config import TrainConfig
from .cli import start_backend

if TYPE_CHECKING:
    from ..detector import Detector

SIZES = ("image_min_side", "image_max_side", "no_resize")
NUMBERS = {int: "N", float: "X"}  # their placeholders in --help
UNSET = argparse.SUPPRESS  # the namespace then holds only the options that were given


def add_config(parser: argparse.ArgumentParser, config: type) -> None:
    """Add an option for each field of a config, in groups; an option has no value unless given."""
    groups: dict[str, Any] = {}
    for name, rule in options_of(config).items():
        if rule.group not in groups:
            groups[rule.group] = parser.add_argument_group(rule.group)
        add_option(groups[rule.group], name, rule, UNSET, getattr(config, name))


def add_options(parser: Any, names: Iterable[str], defaults: Mapping[str, Any] = {}) -> None:
    """Add options of `TrainConfig` to another command, with other defaults by name."""
    known = options_of(TrainConfig)
    for name in names:
        default = defaults.get(name, getattr(TrainConfig, name))
        add_option(parser, name, known[name], default, default)


def add_option(parser: Any, name: str, rule: Option, default: Any, shown: Any) -> None:
    """Add one option; `shown` is the default that its help names."""
    flag = name.replace("_", "-")
    how: dict[str, Any] = {"dest": name, "default": [] if default == () else default}
    how["help"] = argparse.SUPPRESS if rule.hidden else rule.help
    if rule.kind is bool:
        if shown is True:
            flag, how["help"] = f"no-{flag}", f"do not {rule.help}"
        actions = {True: "store_false", False: "store_true", None: argparse.BooleanOptionalAction}
        parser.add_argument(f"--{flag}", action=actions[shown], **how)
        return
    if not rule.hidden and shown not in (None, ()) and rule.kind is not dict:
        how["help"] += f" ({shown})"
    if rule.known and rule.kind is str:
        how["choices"] = tuple(rule.known)
    else:
        how["metavar"] = rule.metavar or NUMBERS.get(rule.kind)
    how["action"] = "append" if rule.several else "store"
    how["type"] = _reader(rule)
    parser.add_argument(f"--{flag}", **how)
    for alias in rule.aliases:
        parser.add_argument(alias, **{**how, "help": argparse.SUPPRESS, "default": UNSET})


def _reader(rule: Option) -> Callable[[str], Any]:
    """Return a function from an option's text to its value, with errors that argparse shows."""
    if rule.read is None and rule.kind is not dict:
        return number(rule.kind, rule.within) if rule.within else rule.kind

    def read(text: str) -> Any:
        try:
            return rule.reader(text)
        except InputError as error:
            raise argparse.ArgumentTypeError(str(error)) from None

    return read


def number(kind: type, within: str) -> Callable[[str], Any]:
    """Return a type of argparse: int or float, within a range, see `options.fits`."""

    def read(text: str) -> Any:
        try:
            value = kind(text)
        except ValueError:
            whole = "a whole number" if kind is int else "a number"
            raise argparse.ArgumentTypeError(f"must be {whole}, got {text[:50]!r}.") from None
        if not fits(value, within):
            raise argparse.ArgumentTypeError(f"must be {within}, got {text[:50]}.")
        return value

    return read


@contextlib.contextmanager
def named_by_flags() -> Iterator[None]:
    """Make an InputError from the block name options by their flags, see `with_flags`."""
    try:
        yield
    except InputError as error:
        raise InputError(with_flags(str(error))) from None


def with_flags(sentence: str) -> str:
    """Return a sentence in which options such as batch_size are flags, such as --batch-size."""
    names = list(options_of(TrainConfig))
    never_words = "|".join(name for name in names if "_" in name)
    return re.sub(
        rf"(?<![\w./\\-])({never_words}|({'|'.join(names)})(?= (and \S+ )?exclude))(?![\w/\\-])",
        lambda name: f"--{name[0].replace('_', '-')}",
        sentence,
    )


def add_nms_options(
    parser: argparse.ArgumentParser, when: str = "", in_graph: str | None = None
) -> Any:
    """Add --nms and --nms-threshold, None unless given, and return the group of --nms.

    Args:
        in_graph: the name of one more choice, the hard NMS of the file's runtime.
    """
    read = _reader(Option("", "", dict, known=NMS))
    more = f"; {in_graph} ends an ONNX or LiteRT file with its runtime's hard NMS"
    kinds = parser.add_mutually_exclusive_group()
    kinds.add_argument(
        "--nms",
        type=lambda text: text if text == in_graph else read(text),
        metavar="NAME",
        help=f"{when}rule that suppresses overlapping boxes: {', '.join(NMS)}; soft_gaussian takes "
        f"an argument, soft_gaussian:sigma=0.5 (the model's, or hard){more if in_graph else ''}",
    )
    parser.add_argument(
        "--nms-threshold",
        type=number(float, SHARE),
        metavar="X",
        help=f"{when}IoU, or DIoU for diou, above which boxes suppress each other; none and "
        "soft_gaussian do not use it (the model's, or 0.5)",
    )
    return kinds


def add_detector_options(
    parser: argparse.ArgumentParser, score_threshold: float | None, classes: str = "--only"
) -> None:
    """Add the options of a `Detector` that a command runs; `classes` is the flag of class names."""
    parser.add_argument(
        "--score-threshold",
        type=number(float, SHARE),
        default=score_threshold,
        metavar="X",
        help=f"minimum score of a detection ({score_threshold or 'of the model, or 0.5'})",
    )
    parser.add_argument(
        "--max-detections",
        type=number(int, DETECTIONS),
        default=100,
        metavar="N",
        help="maximum number of detections in an image (%(default)s)",
    )
    parser.add_argument(
        classes,
        dest="only",
        type=names_of,
        metavar="A,B",
        help="find objects of these classes only",
    )
    parser.add_argument(
        "--class-thresholds",
        type=thresholds_of,
        default={},
        metavar="A=X,B=X",
        help="minimum scores of some classes; --score-threshold applies to the others",
    )
    parser.add_argument(
        "--tile",
        type=number(int, SIDE),
        metavar="PX",
        help="also look at square tiles with this side, to find small objects",
    )
    parser.add_argument(
        "--overlap",
        type=number(float, "from 0 to 0.9"),
        default=0.2,
        metavar="X",
        help="share of a tile that the next tile overlaps (%(default)s)",
    )
    parser.add_argument(
        "--tta",
        type=augmentations_of,
        default=(False, ()),
        metavar="flip,X",
        help="also look at the mirrored image (flip), and at the image resized by the factor X",
    )
    parser.add_argument("--convert-model", action="store_true", help=argparse.SUPPRESS)
    add_nms_options(parser, "for a training model: ")
    parser.add_argument("--backbone", help="stop if the model has another backbone")
    parser.add_argument(
        "--config",
        metavar="FILE",
        help="INI file with the anchors of a training model (the model's)",
    )
    add_engine_options(parser)
    of_model = dict.fromkeys(("image_min_side", "image_max_side"))
    parser.add_argument(
        "--batch-size",
        type=number(int, BATCH),
        default=1,
        metavar="N",
        help="images in a batch (%(default)s)",
    )
    add_options(parser, (*SIZES, "strict", "gpu"), of_model)


def add_engine_options(parser: Any) -> None:
    """Add the options of a model file's runtime."""
    parser.add_argument(
        "--engine",
        choices=("auto", *ENGINES),
        default="auto",
        help="runtime of the model file (auto: the fastest one that is installed)",
    )
    parser.add_argument(
        "--precision",
        choices=ENGINE_PRECISIONS,
        help="number format to compute in, if the runtime and processor support it (the file's)",
    )
    parser.add_argument(
        "--threads",
        type=number(int, THREADS),
        metavar="N",
        help="threads of the runtime (all that the process may use)",
    )


def names_of(text: str) -> tuple[str, ...]:
    """Return the names of A,B; the argument type of --only."""
    return tuple(name.strip() for name in text.split(",") if name.strip())


def thresholds_of(text: str) -> dict[str, float]:
    """Return {name: score} of A=X,B=X; the argument type of --class-thresholds."""
    found = {}
    for part in names_of(text):
        name, equals, score = part.rpartition("=")
        if not equals:
            raise argparse.ArgumentTypeError(f"must be NAME=SCORE,NAME=SCORE, got {text[:50]}.")
        found[name.strip()] = number(float, SHARE)(score)
    return found


def augmentations_of(text: str) -> tuple[bool, tuple[float, ...]]:
    """Return (flip, scales) of flip,X,X; the argument type of --tta."""
    parts = names_of(text)
    scales = [number(float, "from 0.1 to 10")(part) for part in parts if part != "flip"]
    return "flip" in parts, tuple(scales)


def detector_of(args: argparse.Namespace) -> Detector:
    """Load the `Detector` of `args.model` with the options of `add_detector_options`."""
    names = ("score_threshold", "max_detections", "batch_size", *SIZES, "nms", "nms_threshold")
    options = {name: getattr(args, name) for name in names}
    from ..detector import Detector
    from ..views import Views

    views = Views(args.tile, args.overlap, *args.tta)
    options |= {"classes": args.only, "class_thresholds": args.class_thresholds, "views": views}
    from ..engines import engines_for

    if engines_for(args.model) == ("keras",):
        start_backend()
    settings = args.engine, args.precision, args.threads
    try:
        with named_by_flags():
            detector = Detector.load(args.model, *settings, anchors=args.config, **options)
    except InputError as error:
        named = str(error).startswith(args.model)
        raise InputError(str(error) if named else f"{args.model}: {error}") from None
    if args.backbone is not None:
        from ..models.loading import check_backbone

        check_backbone(args.model, detector.info.backbone, args.backbone)
    return detector
