"""From candidates to detections: score threshold, non-maximum suppression, padding."""

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from ..nms import Limits, config, gather, get
from ..parts import PostProcess
from ..typing import Shape, Tensor
from .top_candidates import best_pairs


def in_rows(values: Tensor, rows: Tensor) -> Tensor:
    """Return the `rows` (B, R) of values (B, N, ...), -1 where a row is -1: (B, R, ...)."""
    empty = ops.reshape(rows < 0, (-1, rows.shape[1]) + (1,) * (len(values.shape) - 2))
    return ops.where(empty, ops.cast(-1, values.dtype), gather(values, ops.maximum(rows, 0)))


# the arguments of these layers, which are fields of `PostProcess`
FIELDS = ("nms", "class_specific_filter", "nms_threshold", "score_threshold", "max_detections")


class _Suppression(keras.layers.Layer):
    """Non-maximum suppression with the options `FIELDS`."""

    def __init__(self, **kwargs: Any) -> None:
        kwargs.setdefault("dtype", "float32")
        given = {name: kwargs.pop(name) for name in FIELDS if name in kwargs}
        super().__init__(**kwargs)
        self.postprocess = PostProcess(**{**given, "nms": config(given.get("nms", "hard"))})

    def suppress(
        self, boxes: Tensor, scores: Tensor, labels: Tensor, others: Sequence[Tensor]
    ) -> list[Tensor]:
        """Suppress candidates: boxes (B, C, 4) px, scores (B, C) descending, labels (B, C).

        Returns [boxes (B, D, 4), scores (B, D), labels (B, D) int32, *others (B, D, ...)] with D =
        max_detections, in descending order of score, unused rows -1.
        """
        labels = ops.cast(labels, "int32")
        chosen = self.postprocess
        groups = labels if chosen.class_specific_filter else ops.zeros_like(labels)
        limits = Limits(chosen.max_detections, chosen.nms_threshold, chosen.score_threshold)
        kept, scores = get(chosen.nms)(boxes, scores, groups, limits)  # (B, D), (B, D)
        boxes, labels, *others = (in_rows(values, kept) for values in (boxes, labels, *others))
        return [boxes, scores, labels, *others]

    def detections_spec(
        self, batch: int | None, others: Sequence[Tensor]
    ) -> list[keras.KerasTensor]:
        def spec(tail: Shape, dtype: str = "float32") -> keras.KerasTensor:
            return keras.KerasTensor((batch, self.postprocess.max_detections, *tail), dtype=dtype)

        rest = [spec(other.shape[2:]) for other in others]
        return [spec((4,)), spec(()), spec((), "int32"), *rest]

    def get_config(self) -> dict:
        held = {name: getattr(self.postprocess, name) for name in FIELDS}
        return {**super().get_config(), **held}


@keras.saving.register_keras_serializable("keras_retinanet")
class NonMaxSuppression(_Suppression):
    """[boxes (B, C, 4), scores (B, C), labels (B, C), *others] -> the same with D rows.

    Candidates come in descending order of score, as from `TopCandidates`.
    """

    def call(self, inputs: Sequence[Tensor]) -> list[Tensor]:
        boxes, scores, labels, *others = inputs
        return self.suppress(boxes, scores, labels, others)

    def compute_output_spec(self, inputs: Sequence[Tensor]) -> list[keras.KerasTensor]:
        return self.detections_spec(inputs[0].shape[0], inputs[3:])


@keras.saving.register_keras_serializable("keras_retinanet")
class FilterDetections(_Suppression):
    """[boxes (B, N, 4), classification (B, N, K), *others] -> [boxes, scores, labels, *others].

    All pairs of box and class are candidates; outputs have `max_detections` rows, -1 if unused.
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
        values = (nms, class_specific_filter, nms_threshold, score_threshold, max_detections)
        super().__init__(**dict(zip(FIELDS, values, strict=True)), **kwargs)

    def call(self, inputs: Sequence[Tensor]) -> list[Tensor]:
        boxes, classification, *others = (_with_unused_row(value) for value in inputs)
        rows, labels, scores = best_pairs(
            classification, None, self.postprocess.class_specific_filter
        )
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
