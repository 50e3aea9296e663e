"""AdamW and SGD as detectors are trained with, and their learning rate schedule.

Both decay kernels only, not biases and norms, may train the backbone at a lower rate, and may keep
an exponential moving average of the weights. All of it is saved with a model.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from .typing import Tensor


@keras.saving.register_keras_serializable("keras_retinanet")
class WarmupSchedule(keras.optimizers.schedules.LearningRateSchedule):
    """A linear warm-up from 0 to the peak rate, then the shape of `kind`, over `batches` batches.

    Args:
        kind: "cosine" falls to `final`, "step" is divided by 10 after 2/3 and 8/9 of the batches
            (Lin et al. 2017, arXiv 1708.02002), "constant" stays at the peak.
        peak, final: learning rates.
        warmup: batches.
    """

    def __init__(
        self, kind: str, peak: float, batches: int, warmup: int = 0, final: float = 0.0
    ) -> None:
        self.kind = kind
        self.peak = peak
        self.batches = batches
        self.warmup = warmup
        self.final = final

    def __call__(self, step: Any) -> Tensor:
        step = ops.cast(step, "float32")
        rising = self.peak * step / max(1, self.warmup)
        return ops.where(step < self.warmup, rising, getattr(self, f"_{self.kind}")(step))

    def _constant(self, step: Tensor) -> Tensor:
        return ops.full_like(step, self.peak)

    def _step(self, step: Tensor) -> Tensor:
        first, second = (float(round(self.batches * share)) for share in (2 / 3, 8 / 9))
        passed = ops.cast(step >= first, "float32") + ops.cast(step >= second, "float32")
        return self.peak * ops.power(0.1, passed)

    def _cosine(self, step: Tensor) -> Tensor:
        done = ops.clip((step - self.warmup) / max(1, self.batches - self.warmup), 0.0, 1.0)
        return self.final + (self.peak - self.final) * 0.5 * (1.0 + ops.cos(math.pi * done))

    def get_config(self) -> dict[str, Any]:
        names = ("kind", "peak", "batches", "warmup", "final")
        return {name: getattr(self, name) for name in names}


class ByVariable(keras.optimizers.Optimizer):
    """Rate and decay of each variable, and averages that follow the updates.

    Args:
        slower: the paths of variables that train at `slower_factor` times the rate.
        average: the decay of the moving average of the weights for each update, None for none. It
            begins lower: after n updates it is n / (n + 9) at most.
        **options: of the Keras optimizer. `weight_decay` is for variables with 2 axes or more.
    """

    def __init__(
        self,
        *args: Any,
        slower: Sequence[str] = (),
        slower_factor: float = 1.0,
        average: float | None = None,
        **options: Any,
    ) -> None:
        super().__init__(*args, use_ema=average is not None, ema_momentum=average or 0.0, **options)
        self.slower = tuple(slower)
        self.slower_factor = slower_factor
        self.average = average

    def build(self, variables: list[keras.Variable]) -> None:
        super().build(variables)
        slower = set(self.slower)
        self.factors = [self.slower_factor if v.path in slower else 1.0 for v in variables]
        self.decayed = [len(variable.shape) > 1 for variable in variables]

    def rate_and_decay(self, variable: Any, learning_rate: Tensor) -> tuple[Tensor, float]:
        """Return the learning rate and the weight decay of a variable."""
        index = self._get_variable_index(variable)
        decay = (self.weight_decay or 0.0) if self.decayed[index] else 0.0
        return learning_rate * self.factors[index], decay

    def _apply_weight_decay(self, variables: list[Any]) -> None:
        """Do nothing: `update_step` decays."""

    def _update_model_variables_moving_average(self, variables: list[Any]) -> None:
        steps = self.gradient_accumulation_steps or 1
        updates = ops.cast(self._iterations // steps, "float32")  # before this batch
        decay = ops.minimum(self.average, updates / (updates + 9.0))
        updated = ops.equal((self._iterations + 1) % steps, 0)
        decay = ops.where(updated, decay, ops.cast(updates > 0, "float32"))
        for variable, held in zip(variables, self._model_variables_moving_average, strict=True):
            self.assign(held, decay * held + (1.0 - decay) * variable)

    def finalize_variable_values(self, variables: list[Any]) -> None:
        """Leave the weights as they are; `training.averaging` uses the averages."""

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        for name in ("use_ema", "ema_momentum", "ema_overwrite_frequency"):
            del config[name]
        held = {"slower": self.slower, "slower_factor": self.slower_factor}
        return {**config, **held, "average": self.average}


@keras.saving.register_keras_serializable("keras_retinanet")
class AdamW(ByVariable, keras.optimizers.Adam):
    """Adam with decoupled weight decay (Loshchilov and Hutter 2019, arXiv 1711.05101)."""

    def update_step(self, gradient: Tensor, variable: Any, learning_rate: Tensor) -> None:
        rate, decay = self.rate_and_decay(variable, learning_rate)
        if decay:
            self.assign_sub(variable, ops.cast(rate * decay, variable.dtype) * variable)
        super().update_step(gradient, variable, rate)


@keras.saving.register_keras_serializable("keras_retinanet")
class SGD(ByVariable, keras.optimizers.SGD):
    """SGD whose weight decay is added to the gradient, and so goes through the momentum."""

    def update_step(self, gradient: Tensor, variable: Any, learning_rate: Tensor) -> None:
        rate, decay = self.rate_and_decay(variable, learning_rate)
        if decay:
            gradient = gradient + ops.cast(decay, variable.dtype) * variable
        super().update_step(gradient, variable, rate)


OPTIMIZERS = {"adamw": AdamW, "sgd": SGD}


def unscaled(optimizer: keras.optimizers.Optimizer) -> keras.optimizers.Optimizer:
    """Return the optimizer inside one that scales the loss."""
    return getattr(optimizer, "inner_optimizer", optimizer)
