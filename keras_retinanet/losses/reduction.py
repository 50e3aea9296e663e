"""The state column and the division by the number of objects, which all losses share."""

import keras
from keras import ops

from ..typing import Tensor

# The last column of every target. OMITTED is an object that a sampler left out: it counts as an
# object and has no loss. In a box target, a state between 0 and 1 is the weight of an object.
IGNORE, BACKGROUND, OBJECT, OMITTED = -1, 0, 1, 2


def split(y_true: Tensor) -> tuple[Tensor, Tensor]:
    """Split y_true (B, N, V + 1) into targets (B, N, V) and state (B, N)."""
    return y_true[..., :-1], y_true[..., -1]


def per_object(values: Tensor, state: Tensor) -> Tensor:
    """Divide the sum of `values` (B, N) by the number of objects in the batch, at least 1.

    Under a strategy of TensorFlow the batch is that of all replicas, see `over_replicas`.
    """
    objects, replicas = over_replicas(ops.sum(ops.cast(state >= OBJECT, values.dtype)))
    return replicas * ops.sum(values) / ops.maximum(objects, 1)


def weighted_mean(values: Tensor, weights: Tensor) -> Tensor:
    """Return the mean of `values` (B, N) with `weights` (B, N), 0 if all weights are 0.

    Under a strategy of TensorFlow the mean is that of all replicas, see `over_replicas`.
    """
    total, replicas = over_replicas(ops.sum(weights))
    return replicas * ops.sum(weights * values) / ops.where(total > 0, total, 1.0)


def over_replicas(total: Tensor) -> tuple[Tensor, int]:
    """Return the sum of a scalar over the replicas that train together, and their number.

    TensorFlow's strategies give each replica a share of the batch, and Keras averages their losses.
    Its own sum, times their number, divided by the sum of all, then weighs each object of the batch
    alike, as on one device. JAX's distribution computes on whole batches already.
    """
    if keras.config.backend() != "tensorflow":
        return total, 1
    import tensorflow as tf

    replica = tf.distribute.get_replica_context()
    if replica is None or replica.num_replicas_in_sync == 1:
        return total, 1
    return replica.all_reduce(tf.distribute.ReduceOp.SUM, total), replica.num_replicas_in_sync


def only(mask: Tensor, values: Tensor, instead: Tensor = 0.0) -> Tensor:
    """Return `values` (B, N, V) where `mask` (B, N) holds, a harmless constant elsewhere.

    Used before a formula, so that its gradient is finite on the branch that is masked out.
    """
    return ops.where(mask[..., None], values, ops.cast(instead, values.dtype))
