"""What all losses share: the state column and the division by the number of objects."""

from keras import ops

# The last column of every target. OMITTED is an object that a selector left out: it counts as an
# object and has no loss. Of a box target, a state between 0 and 1 is the weight of an object.
IGNORE, BACKGROUND, OBJECT, OMITTED = -1, 0, 1, 2


def split(y_true):
    """The targets (B, N, V) and the state (B, N) that stand together in y_true (B, N, V + 1)."""
    return y_true[..., :-1], y_true[..., -1]


def per_object(values, state):
    """Sum of `values` (B, N) over the objects in the batch, at least 1: a scalar."""
    objects = ops.sum(ops.cast(state >= OBJECT, values.dtype))
    return ops.sum(values) / ops.maximum(objects, 1)


def weighted_mean(values, weights):
    """Mean of `values` (B, N) with `weights` (B, N), 0 where these are all 0: a scalar."""
    total = ops.sum(weights)
    return ops.sum(weights * values) / ops.where(total > 0, total, 1.0)


def only(mask, values, instead=0.0):
    """`values` (B, N, V) where `mask` (B, N) holds, a harmless constant elsewhere.

    Used before a formula, so that its gradient is finite on the branch that is masked out.
    """
    return ops.where(mask[..., None], values, ops.cast(instead, values.dtype))
