"""The parts of a detector as plain values, with the defaults of the whole package.

Functions take these instead of many arguments, and `presets` are values of them. Imports nothing
heavy.
"""

from __future__ import annotations

import reprlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .errors import InputError
from .options import DEPTH, DETECTIONS, SHARE, SIDE, WIDTH, check_number

if TYPE_CHECKING:
    from .utils.anchors import AnchorParameters


CLIPS = ("before", "dropping", "after")


@dataclass(frozen=True)
class Pyramid:
    """The feature pyramid.

    Attributes:
        levels: the levels with anchors, of 2 to 7; level n has a stride of 2**n px.
        width: channels of each level.
        norm: "none" or "group", after every convolution of levels 2 to 5.
        p6_from: the input of P6, "C5" or "P5".
        p7_relu: compute P7 from ReLU(P6) instead of P6.
        strided_padding: how P6 and P7 pad. "same" pads an even side only at its end, as Keras does,
            "symmetric" both ends, as PyTorch does.
    """

    levels: tuple[int, ...] = (3, 4, 5, 6, 7)
    width: int = 256
    norm: str = "none"
    p6_from: str = "C5"
    p7_relu: bool = True
    strided_padding: str = "same"

    def __post_init__(self) -> None:
        for level in self.levels:
            check_number("A pyramid level", level, "from 2 to 7")
        check_number("The pyramid's width", self.width, WIDTH)


@dataclass(frozen=True)
class Heads:
    """The heads that all levels share.

    Attributes:
        width: channels of the convolutions; None for the pyramid's width.
        depth: 3x3 convolutions before a head's output.
        norm: "none" or "group", after each of these convolutions.
        activation: "sigmoid", or "softmax" over the classes and the background.
        prior_probability: the score of each class before training, with softmax of all classes
            together; None starts from a bias of 0.
        iou_branch: predict the IoU of each box, which multiplies its scores.
        level_scales: multiply the regression of each level by a trained factor.
    """

    width: int | None = None
    depth: int = 4
    norm: str = "none"
    activation: str = "sigmoid"
    prior_probability: float | None = 0.01
    iou_branch: bool = False
    level_scales: bool = False

    def __post_init__(self) -> None:
        if self.width is not None:
            check_number("The width of the heads", self.width, WIDTH)
        check_number("The depth of the heads", self.depth, DEPTH)
        if self.prior_probability is not None:
            check_number("prior_probability", self.prior_probability, "between 0 and 1", float)


@dataclass(frozen=True)
class Inputs:
    """The images that a detector takes.

    Attributes:
        normalization: a key of `NORMALIZATIONS` for RGB images of 0 to 255, which the graph
            normalizes; "auto" for the backbone's; None if the caller normalizes them.
        preprocessing: the normalization that the caller applies when `normalization` is None; None
            for the backbone's.
        image_min_side: px of the short side, None to leave images at their size.
        image_max_side: px that the long side may have at most.
        resize: the resize rule, a key of `utils.resizing.RESIZES`.
        canvases: "few" pads a batch to one of a few sizes, "own" to its largest image.
        pad_to: pad normalized images in the graph to a multiple of this many px.
    """

    normalization: str | None = "auto"
    preprocessing: str | None = None
    image_min_side: int | None = 800
    image_max_side: int | None = 1333
    resize: str = "opencv"
    canvases: str = "few"
    pad_to: int | None = None

    def __post_init__(self) -> None:
        for name in ("image_min_side", "image_max_side", "pad_to"):
            if getattr(self, name) is not None:
                check_number(name, getattr(self, name), SIDE)
        if self.canvases not in ("few", "own"):
            raise InputError(f"canvases must be 'few' or 'own', got {reprlib.repr(self.canvases)}.")


@dataclass(frozen=True)
class PostProcess:
    """The post-processing: from raw outputs to detections.

    Attributes:
        nms: a key of `nms.NMS`, or {"name": key, **arguments}; True is "hard", False "none".
        class_specific_filter: only boxes of one class suppress each other.
        nms_threshold: the IoU above which a box suppresses another.
        score_threshold: detections have a higher score than this.
        max_detections: rows of the output.
        top_k: candidates of each level that enter NMS; None for all.
        clip: clip boxes to the image "before" NMS; "dropping" also drops boxes beyond the image;
            "after" does both after NMS.
        clip_margin: px that clipped boxes stay away from the right and lower edge.
        class_thresholds: (K,) the least score of each label for users of the model, who may ask for
            others; None for 0.5. `score_threshold` is what the model can give at all.
    """

    nms: str | bool | dict = "hard"
    class_specific_filter: bool = True
    nms_threshold: float = 0.5
    score_threshold: float = 0.05
    max_detections: int = 300
    top_k: int | None = 1000
    clip: str = "before"
    clip_margin: int = 0
    class_thresholds: Sequence[float] | None = None

    def __post_init__(self) -> None:
        check_number("nms_threshold", self.nms_threshold, SHARE, float)
        check_number("score_threshold", self.score_threshold, SHARE, float)
        check_number("max_detections", self.max_detections, DETECTIONS)
        check_number("clip_margin", self.clip_margin, "from 0 to 100")
        for threshold in self.class_thresholds or ():
            check_number("The threshold of a class", threshold, SHARE, float)
        if self.top_k is not None:
            check_number("top_k", self.top_k, "from 1 to 100000")
        if self.clip not in CLIPS:
            raise InputError(f"Unknown clip {reprlib.repr(self.clip)}; known: {', '.join(CLIPS)}.")


@dataclass(frozen=True)
class Freeze:
    """The parts of the backbone that training leaves as they are.

    Attributes:
        batch_norm: keep batch norm in inference mode; None does so if weights are loaded.
        backbone: freeze all of it.
        stages: 1 freezes the stem, 2 to 5 everything up to C2 to C5.
    """

    batch_norm: bool | None = None
    backbone: bool = False
    stages: int = 0


@dataclass(frozen=True)
class Design:
    """A detector without its backbone and its classes.

    Attributes:
        anchors: `AnchorParameters`, or a dict of its arguments; None for its defaults.
        coder: the box coder, a key of `coders.CODERS` or {"name": key, **arguments}.
    """

    pyramid: Pyramid = Pyramid()
    heads: Heads = Heads()
    anchors: AnchorParameters | dict | None = None
    coder: str | dict = "center_size"
    inputs: Inputs = Inputs()
    postprocess: PostProcess = PostProcess()
