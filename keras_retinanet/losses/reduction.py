"""What all losses share: the state column and the division by the number of objects."""

from keras import ops

IGNORE, BACKGROUND, OBJECT = -1, 0, 1  # the last column of every target


def split(y_true):
    """The targets (B, N, V) and the state (B, N) that stand together in y_true (B, N, V + 1)."""
    return y_true[..., :-1], y_true[..., -1]


def per_object(values, state):
    """Sum of `values` (B, N) over the objects in the batch, at least 1: a scalar."""
    objects = ops.sum(ops.cast(ops.equal(state, OBJECT), values.dtype))
    return ops.sum(values) / ops.maximum(objects, 1)


def only(mask, values, instead=0.0):
    """`values` (B, N, V) where `mask` (B, N) holds, a harmless constant elsewhere.

    Used before a formula, so that its gradient is finite on the branch that is masked out.
    """
    return ops.where(mask[..., None], values, ops.cast(instead, values.dtype))
