"""From candidates to detections: score threshold, non-maximum suppression, padding."""

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from ..nms import config, gather, get
from ..parts import PostProcess
from ..typing import Shape, Tensor
from .top_candidates import best_pairs


def suppress(
    boxes: Tensor,
    scores: Tensor,
    labels: Tensor,
    others: Sequence[Tensor] = (),
    nms: str | bool | dict = "hard",
    class_specific: bool = True,
    nms_threshold: float = PostProcess.nms_threshold,
    score_threshold: float = PostProcess.score_threshold,
    max_detections: int = PostProcess.max_detections,
) -> list[Tensor]:
    """Suppress candidates: boxes (B, C, 4) px, scores (B, C) descending, labels (B, C).

    Returns [boxes (B, D, 4), scores (B, D), labels (B, D) int32, *others (B, D, ...)] with D =
    max_detections, in descending order of score, unused rows -1. `nms` is a key of
    `keras_retinanet.nms.NMS` or {"name": key, **arguments}; soft NMS returns lowered scores.
    """
    labels = ops.cast(labels, "int32")
    groups = labels if class_specific else ops.zeros_like(labels)
    kept, scores = get(nms)(
        boxes, scores, groups, max_detections, nms_threshold, score_threshold
    )  # (B, D), (B, D)

    boxes, labels, *others = (in_rows(values, kept) for values in (boxes, labels, *others))
    return [boxes, scores, labels, *others]


def in_rows(values: Tensor, rows: Tensor) -> Tensor:
    """Return the `rows` (B, R) of values (B, N, ...), -1 where a row is -1: (B, R, ...)."""
    empty = ops.reshape(rows < 0, (-1, rows.shape[1]) + (1,) * (len(values.shape) - 2))
    return ops.where(empty, ops.cast(-1, values.dtype), gather(values, ops.maximum(rows, 0)))


class _Suppression(keras.layers.Layer):
    def __init__(
        self,
        nms: str | bool | dict = "hard",
        class_specific_filter: bool = True,
        nms_threshold: float = PostProcess.nms_threshold,
        score_threshold: float = PostProcess.score_threshold,
        max_detections: int = PostProcess.max_detections,
        **kwargs: Any,
    ) -> None:
        kwargs.setdefault("dtype", "float32")
        super().__init__(**kwargs)
        self.nms = config(nms)
        self.class_specific_filter = class_specific_filter
        self.nms_threshold = nms_threshold
        self.score_threshold = score_threshold
        self.max_detections = max_detections

    def suppress(
        self, boxes: Tensor, scores: Tensor, labels: Tensor, others: Sequence[Tensor]
    ) -> list[Tensor]:
        return suppress(
            boxes,
            scores,
            labels,
            others,
            self.nms,
            self.class_specific_filter,
            self.nms_threshold,
            self.score_threshold,
            self.max_detections,
        )

    def detections_spec(
        self, batch: int | None, others: Sequence[Tensor]
    ) -> list[keras.KerasTensor]:
        def spec(tail: Shape, dtype: str = "float32") -> keras.KerasTensor:
            return keras.KerasTensor((batch, self.max_detections, *tail), dtype=dtype)

        rest = [spec(other.shape[2:]) for other in others]
        return [spec((4,)), spec(()), spec((), "int32"), *rest]

    def get_config(self) -> dict:
        return {
            **super().get_config(),
            "nms": config(self.nms),
            "class_specific_filter": self.class_specific_filter,
            "nms_threshold": self.nms_threshold,
            "score_threshold": self.score_threshold,
            "max_detections": self.max_detections,
        }


@keras.saving.register_keras_serializable("keras_retinanet")
class NonMaxSuppression(_Suppression):
    """[boxes (B, C, 4), scores (B, C), labels (B, C), *others] -> the same with D rows.

    Candidates come in descending order of score, as from `TopCandidates`. See `suppress`.
    """

    def call(self, inputs: Sequence[Tensor]) -> list[Tensor]:
        boxes, scores, labels, *others = inputs
        return self.suppress(boxes, scores, labels, others)

    def compute_output_spec(self, inputs: Sequence[Tensor]) -> list[keras.KerasTensor]:
        return self.detections_spec(inputs[0].shape[0], inputs[3:])


@keras.saving.register_keras_serializable("keras_retinanet")
class FilterDetections(_Suppression):
    """[boxes (B, N, 4), classification (B, N, K), *others] -> [boxes, scores, labels, *others].

    All pairs of box and class are candidates; outputs have `max_detections` rows, unused ones -1.
    """

    def __init__(
        self,
        nms: str | bool | dict = True,
        class_specific_filter: bool = True,
        nms_threshold: float = PostProcess.nms_threshold,
        score_threshold: float = PostProcess.score_threshold,
        max_detections: int = PostProcess.max_detections,
        parallel_iterations: int = 32,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            nms, class_specific_filter, nms_threshold, score_threshold, max_detections, **kwargs
        )

    def call(self, inputs: Sequence[Tensor]) -> list[Tensor]:
        boxes, classification, *others = (_with_unused_row(value) for value in inputs)
        rows, labels, scores = best_pairs(classification, None, self.class_specific_filter)
        boxes, *others = (gather(values, rows) for values in (boxes, *others))
        return self.suppress(boxes, scores, labels, others)

    def compute_output_spec(self, inputs: Sequence[Tensor]) -> list[keras.KerasTensor]:
        return self.detections_spec(inputs[0].shape[0], inputs[2:])


def _with_unused_row(values: Tensor) -> Tensor:
    """Append a row of -1 to values (B, N, ...), so that there is one to point to when N is 0."""
    padding = [[0, 0], [0, 1], *[[0, 0]] * (len(values.shape) - 2)]
    return ops.pad(ops.convert_to_tensor(values), padding, constant_values=-1)


def filter_detections(
    boxes: Tensor,
    classification: Tensor,
    other: Sequence[Tensor] = (),
    class_specific_filter: bool = True,
    nms: str | bool | dict = True,
    score_threshold: float = PostProcess.score_threshold,
    max_detections: int = PostProcess.max_detections,
    nms_threshold: float = PostProcess.nms_threshold,
) -> list[Tensor]:
    """Filter one image's boxes (N, 4), classification (N, K) and other [(N, ...)]."""
    layer = FilterDetections(
        nms, class_specific_filter, nms_threshold, score_threshold, max_detections
    )
    batched = [ops.convert_to_tensor(value)[None] for value in (boxes, classification, *other)]
    return [value[0] for value in layer.call(batched)]
