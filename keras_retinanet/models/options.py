"""The options of a detector, which are saved with it and checked when it is loaded."""

from __future__ import annotations

import reprlib
from collections.abc import Collection, Sequence
from typing import Any

import numpy as np

from .. import coders, nms
from ..choices import ASSIGNERS, check_values
from ..errors import InputError
from ..normalization import NORMALIZATIONS
from ..options import EPOCH, check_number
from ..parts import Inputs, PostProcess, Pyramid
from ..utils.anchors import PYRAMID_LEVELS, AnchorParameters
from ..utils.resizing import RESIZES
from ..utils.text import printable

# Every option of a detector, with the default of `retinanet` and `retinanet_bbox`. `RetinaNet` has
# no defaults, so that Keras cannot rebuild a model without its options.
DEFAULTS: dict[str, Any] = {
    "anchors": AnchorParameters.default.get_config(),  # or AnchorParameters
    "pyramid_levels": PYRAMID_LEVELS,
    "coder": "corners",  # a name or dict for `coders.get`
    "normalization": None,  # a key of `NORMALIZATIONS` if it is part of the graph
    "preprocessing": "caffe",  # the normalization for the caller to apply otherwise
    "backbone": None,  # name of the backbone
    "class_names": None,
    "image_min_side": Inputs.image_min_side,  # px
    "image_max_side": Inputs.image_max_side,  # px
    "resize": Inputs.resize,  # a key of `utils.resizing.RESIZES`
    "canvases": Inputs.canvases,  # the rule for padding images
    "clip_margin": 0,  # px
    "detection": {},  # arguments of `retinanet_bbox` for post-processing
    "progress": {},  # the state of the training
}
# Options that files of earlier versions lack, with the value that those versions used.
ADDED_LATER: dict[str, object] = {}


def check_options(options: Any) -> None:
    """Raise an InputError unless the options have the names of `DEFAULTS` and valid values."""
    if missing := [name for name in DEFAULTS if name not in options]:
        raise InputError(
            f"RetinaNet would lose its options {', '.join(missing)}. Build models with "
            "`retinanet`, and copy them with copy.deepcopy, not keras.models.clone_model."
        )
    if unknown := [name for name in options if name not in DEFAULTS]:
        raise InputError(
            f"RetinaNet has no option {reprlib.repr(unknown[0])}; known: {', '.join(DEFAULTS)}."
        )
    sides = {name: options[name] for name in ("image_min_side", "image_max_side", "canvases")}
    try:
        check_anchors(options["pyramid_levels"], options["anchors"])
        check_choice("coder", options["coder"], coders.CODERS)
        coders.get(options["coder"])
        Inputs(**sides)
        detection = {"clip_margin": options["clip_margin"], **(options["detection"] or {})}
        nms.config(PostProcess(**detection).nms)
        check_progress(options["progress"] or {})
        if options["class_names"] is not None:
            checked_names(options["class_names"])
    except InputError:
        raise
    except (AttributeError, LookupError, OverflowError, TypeError, ValueError) as error:
        reason = printable(error)
        raise InputError(f"An option of the detector is damaged: {reason}.") from None
    normalizations = (None, *NORMALIZATIONS)
    for name, known in (
        ("normalization", normalizations),
        ("preprocessing", normalizations),
        ("resize", RESIZES),
    ):
        if options[name] not in tuple(known):
            listed = ", ".join(map(str, known))
            raise InputError(f"Unknown {name} {reprlib.repr(options[name])}; known: {listed}.")
    if not isinstance(options["backbone"], str | None):
        raise InputError(f"backbone must be a name, got {reprlib.repr(options['backbone'])}.")


def check_anchors(levels: Any, anchors: Any) -> None:
    """Raise an InputError for anchors or levels that a pyramid cannot have."""
    Pyramid(levels=tuple(levels))
    for name, row in AnchorParameters.of(anchors).rows().items():
        numbers = np.asarray(row, "float64")  # (n,)
        check_number(f"The number of anchor {name}", len(numbers), "from 1 to 100")
        if numbers.ndim != 1 or not ((numbers > 0) & (numbers < 1e6)).all():
            got = reprlib.repr(row)
            raise InputError(f"Anchor {name} must be above 0 and below 1e6, got {got}.")


def check_choice(option: str, choice: Any, known: Collection[str]) -> None:
    """Raise an InputError unless a choice from a file has a known name and numbers in range."""
    if isinstance(choice, coders.BoxCoder):
        return
    choice = choice if isinstance(choice, dict) else {"name": choice}
    if choice["name"] not in tuple(known):
        name = reprlib.repr(choice["name"])
        raise InputError(f"Unknown {option} {name}; known: {', '.join(known)}.")
    check_values(choice)


def check_progress(progress: dict) -> None:
    """Raise an InputError unless a training can be resumed from `progress`."""
    check_number("The epoch", progress.get("epoch", 0), EPOCH)
    check_number("The step", progress.get("step", 0), EPOCH)
    if progress.get("best") is not None:
        check_number("The best figure", progress["best"], "from -1000000 to 1000000", float)
    if "assigner" in progress:
        check_choice("assigner", progress["assigner"], ASSIGNERS)


def checked_names(class_names: Sequence[str]) -> list[str]:
    """Return class names as a list; InputError if there are none or one repeats."""
    names = [] if isinstance(class_names, str) else list(class_names)
    texts = all(isinstance(name, str) for name in names)
    if not names or not texts or len(set(names)) < len(names):
        got = reprlib.repr(class_names)
        raise InputError(f"Class names must be different texts, at least one, got {got}.")
    return names
