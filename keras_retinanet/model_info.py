"""The facts that a model file states about its model, the same for every format and engine.

An export contains them as JSON, so that it needs no other file. Imports nothing heavy.
"""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from . import __version__
from .choices import NMS
from .errors import InputError
from .options import BATCH, COUNT, SIDE, check_number
from .parts import Inputs, PostProcess
from .utils.text import quoted

if TYPE_CHECKING:
    from .models import RetinaNet

KEY = "keras_retinanet"  # of the JSON text in a file's metadata
OUTPUTS = ("candidates", "detections")
PRECISIONS = ("float32", "float16", "dynamic", "int8")


@dataclass(frozen=True)
class ModelInfo:
    """The facts that a `Detector` needs to run a model.

    Attributes:
        num_classes: K.
        class_names: in label order; None if the model has no names.
        backbone: its name, or None.
        inputs: the images that the model takes. Exports normalize in their graph.
        postprocess: from candidates to detections.
        outputs: "detections" after NMS, or "candidates", which are decoded, clipped unless
            `postprocess.clip` is "after", and in descending order of score.
        precision: the precision of the weights, one of `PRECISIONS`.
        size: the only (width, height) px that the file takes; None for any.
        batch: the only number of images that the file takes at once; None for any.
        version: the version of keras_retinanet that wrote the file.

    Raises:
        InputError: for a value that no export writes.
    """

    num_classes: int
    class_names: tuple[str, ...] | None = None
    backbone: str | None = None
    inputs: Inputs = Inputs()
    postprocess: PostProcess = PostProcess()
    outputs: str = "candidates"
    precision: str = "float32"
    size: tuple[int, int] | None = None
    batch: int | None = None
    version: str = __version__

    def __post_init__(self) -> None:
        check_number("num_classes", self.num_classes, COUNT)
        if self.class_names is not None and len(self.class_names) != self.num_classes:
            raise InputError(f"{len(self.class_names)} names for {self.num_classes} classes.")
        thresholds = self.postprocess.class_thresholds
        if thresholds is not None and len(thresholds) != self.num_classes:
            raise InputError(f"{len(thresholds)} thresholds for {self.num_classes} classes.")
        for name, known in (("outputs", OUTPUTS), ("precision", PRECISIONS)):
            if getattr(self, name) not in known:
                value = quoted(getattr(self, name))
                raise InputError(f"Unknown {name} {value}; known: {', '.join(known)}.")
        for side in self.size or ():
            check_number("A side", side, SIDE)
        if self.batch is not None:
            check_number("batch", self.batch, BATCH)

    @classmethod
    def of(cls, model: RetinaNet) -> ModelInfo:
        """Return the facts of a Keras model."""
        options = model.options
        postprocess = PostProcess(**model.detection, clip_margin=model.clip_margin)
        names = options["class_names"]
        return cls(
            model.num_classes,
            None if names is None else tuple(names),
            options["backbone"],
            Inputs(**{key.name: options[key.name] for key in INPUTS}),
            postprocess,
            "detections",
        )

    def to_json(self) -> str:
        """Return the facts as JSON text."""
        return json.dumps(dataclasses.asdict(self), ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str | bytes) -> ModelInfo:
        """Return the facts in JSON text.

        Raises:
            InputError: if `to_json` did not write it.
        """
        try:
            values = json.loads(text)
            values["inputs"] = Inputs(**values["inputs"])
            values["postprocess"] = PostProcess(**values["postprocess"])
            for name in ("class_names", "size"):
                values[name] = None if values[name] is None else tuple(values[name])
            info = cls(**values)
            check_texts(info)
        except InputError:
            raise
        except (LookupError, RecursionError, TypeError, ValueError):
            raise InputError("The model's metadata is damaged; export the model again.") from None
        return info


INPUTS = tuple(field for field in dataclasses.fields(Inputs) if field.name != "pad_to")


def check_texts(info: ModelInfo) -> None:
    """Raise an InputError unless names from a file are text and the NMS is known."""
    texts: list[Any] = [*(info.class_names or ()), info.version, info.backbone or ""]
    if not all(isinstance(text, str) for text in texts):
        raise InputError("The model's class names are not text; export the model again.")
    nms = info.postprocess.nms
    name = nms.get("name") if isinstance(nms, dict) else nms
    if name not in (*NMS, True, False):
        raise InputError(f"Unknown NMS {quoted(name)}; known: {', '.join(NMS)}.")
