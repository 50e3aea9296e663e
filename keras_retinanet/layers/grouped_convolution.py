"""Grouped convolution that is quick on a CPU too."""

from collections.abc import Callable

import keras
import numpy as np
from keras import ops

from ..typing import Tensor

PART = 32  # channels that are convolved together: fewer leave the processor's registers empty


@keras.saving.register_keras_serializable("keras_retinanet")
class GroupedConv2D(keras.layers.Conv2D):
    """`keras.layers.Conv2D` with `groups`, with the same weights and results.

    On TensorFlow and JAX, Keras compiles such convolutions with XLA: on a CPU their gradient takes
    up to 250 times as long, and few export formats support them. Here groups of one channel are a
    depthwise convolution, and others are joined to parts of `PART` channels, convolved with kernels
    that are 0 between groups.
    """

    def convolution_op(self, inputs: Tensor, kernel: Tensor) -> Tensor:
        groups, joined = self.groups, max(1, PART // kernel.shape[2])
        if groups == 1 or keras.backend.backend() == "torch" or self.data_format != "channels_last":
            return super().convolution_op(inputs, kernel)
        if groups == self.filters == inputs.shape[-1]:
            kernel = ops.transpose(kernel, (0, 1, 3, 2))  # (h, w, C, 1)
            return self._run(ops.depthwise_conv, inputs, kernel)
        while groups % joined:
            joined -= 1
        if joined == groups:
            return self._run(ops.conv, inputs, self._joined(kernel, joined))
        parts = groups // joined
        pairs = zip(ops.split(inputs, parts, -1), ops.split(kernel, parts, -1), strict=True)
        outputs = [self._run(ops.conv, x, self._joined(part, joined)) for x, part in pairs]
        return ops.concatenate(outputs, axis=-1)

    def _run(self, convolution: Callable, inputs: Tensor, kernel: Tensor) -> Tensor:
        return convolution(
            inputs,
            kernel,
            strides=self.strides,
            padding=self.padding,
            dilation_rate=self.dilation_rate,
        )

    def _joined(self, kernel: Tensor, groups: int) -> Tensor:
        """Turn the kernel (h, w, c, D) of some groups into one of none: (h, w, groups · c, D)."""
        rows, columns = kernel.shape[2:]
        own = np.kron(np.eye(groups), np.ones((rows, columns // groups)))
        return ops.tile(kernel, (1, 1, groups, 1)) * ops.cast(own, kernel.dtype)
