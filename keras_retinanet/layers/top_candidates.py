"""The candidates that go into non-maximum suppression."""

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from ..nms import gather
from ..parts import PostProcess
from ..typing import Shape, Tensor


def best_pairs(
    classification: Tensor, top_k: int | None = None, class_specific: bool = True
) -> tuple[Tensor, Tensor, Tensor]:
    """Return the best (anchor, class) pairs of classification (B, N, K), by descending score.

    Returns rows (B, C), labels (B, C) and scores (B, C), where C is `top_k`, or all pairs when
    that is None; pairs that do not exist score -1. Without `class_specific` an anchor counts only
    with its best class.
    """
    num_classes = classification.shape[-1]
    best = ops.max(classification, axis=-1)  # (B, N)
    if top_k is not None:  # the best k pairs are among the k anchors of the best scores
        best = ops.pad(best, [[0, 0], [0, top_k]], constant_values=-1.0)
        best, anchors = ops.top_k(best, top_k)  # (B, top_k)
        anchors = ops.where(best < 0, 0, anchors)
        scores = ops.where(best[..., None] < 0, -1.0, gather(classification, anchors))
    else:
        scores = classification
    if class_specific:
        flat = ops.reshape(scores, (-1, ops.shape(scores)[1] * num_classes))  # (B, N·K)
        scores, pairs = ops.top_k(flat, ops.shape(flat)[1] if top_k is None else top_k)
        rows, labels = pairs // num_classes, pairs % num_classes
    else:
        scores, rows = ops.top_k(best, ops.shape(best)[1] if top_k is None else top_k)
        labels = gather(ops.argmax(classification, axis=-1), anchors if top_k else rows)
    rows = rows if top_k is None else gather(anchors, rows)
    return rows, labels, scores


@keras.saving.register_keras_serializable("keras_retinanet")
class TopCandidates(keras.layers.Layer):
    """The best `top_k` pairs of anchor and class on each level.

    Takes (anchors of each level [(B, Nl, 4), ...], values [regression (B, N, V), classification
    (B, N, K), *others (B, N, ...)]) with N the sum of the Nl. Returns [anchors (B, C, 4),
    regression (B, C, V), scores (B, C), labels (B, C), *others (B, C, ...)] in descending order of
    score, C = levels · top_k; `top_k=None` keeps all pairs.
    """

    def __init__(
        self, top_k: int | None = PostProcess.top_k, class_specific: bool = True, **kwargs: Any
    ) -> None:
        kwargs.setdefault("dtype", "float32")
        super().__init__(**kwargs)
        self.top_k = PostProcess(top_k=top_k).top_k  # checked, as it may come from a file
        self.class_specific = class_specific

    def call(self, inputs: Sequence[Any]) -> list[Tensor]:
        levels, (regression, classification, *others) = inputs
        anchors = ops.concatenate(levels, axis=1)  # (B, N, 4)
        if self.top_k is None:
            levels = [anchors]
        found, start = [], 0
        for level in levels:
            end = start + ops.shape(level)[1]
            pairs = best_pairs(classification[:, start:end], self.top_k, self.class_specific)
            found.append((pairs[0] + start, *pairs[1:]))
            start = end
        rows, labels, scores = (
            ops.concatenate(parts, axis=1) for parts in zip(*found, strict=True)
        )
        scores, order = ops.top_k(scores, ops.shape(scores)[1])  # (B, C)
        rows, labels = gather(rows, order), gather(labels, order)
        gathered = [gather(values, rows) for values in (anchors, regression, *others)]
        return [*gathered[:2], scores, labels, *gathered[2:]]

    def compute_output_spec(self, inputs: Sequence[Any]) -> list[keras.KerasTensor]:
        levels, (regression, _, *others) = inputs
        count = None if self.top_k is None else self.top_k * len(levels)
        batch = regression.shape[0]

        def spec(tail: Shape, dtype: str = "float32") -> keras.KerasTensor:
            return keras.KerasTensor((batch, count, *tail), dtype=dtype)

        rest = [spec(other.shape[2:]) for other in others]
        return [spec((4,)), spec(regression.shape[2:]), spec(()), spec((), "int32"), *rest]

    def get_config(self) -> dict:
        config = {"top_k": self.top_k, "class_specific": self.class_specific}
        return {**super().get_config(), **config}
