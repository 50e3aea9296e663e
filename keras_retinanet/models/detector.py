"""RetinaNet as a Keras model that is saved with its options, losses and sampler."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import keras
from keras import ops

from .. import coders, losses, optimizers  # noqa: F401  registers the optimizers of snapshots
from ..errors import InputError
from ..losses import sampling
from ..losses.sampling import Sampler
from ..losses.spec import Loss, spec_of
from ..typing import StrPath, Tensor
from ..utils.anchors import AnchorParameters, anchors_for_shape
from .criterion import Criterion, Outputs
from .heads import Probabilities
from .options import ADDED_LATER, check_options

NO_HDF5 = "an HDF5 file cannot store a detector's options; save the model as a .keras file."


@keras.saving.register_keras_serializable("keras_retinanet")
class RetinaNet(keras.Model):
    """A functional detector and the meaning of its outputs, saved and loaded together.

    Outputs are [regression (B, N, 4), classification (B, N, K), *others] of a training model, or
    [boxes (B, D, 4), scores (B, D), labels (B, D), *others] of an inference model; the input is
    (B, H, W, 3). `retinanet`, `retinanet_bbox` and the backbones build it.

    Args:
        inputs: The symbolic images.
        outputs: The symbolic outputs.
        name: The model's name.
        **options: All options of `DEFAULTS`.

    Raises:
        InputError: An option is missing, unknown, or of a wrong type or range.
    """

    def __init__(
        self,
        inputs: Tensor,
        outputs: Any,
        name: str | None = None,
        *,
        trainable: bool = True,
        **options: Any,
    ) -> None:
        check_options(options)
        super().__init__(inputs, outputs, name=name, trainable=trainable)
        self.anchor_params = AnchorParameters.of(options["anchors"])
        self.pyramid_levels = [int(level) for level in options["pyramid_levels"]]
        self.coder = coders.get(options["coder"])
        self.normalization = options["normalization"]
        self.preprocessing = options["preprocessing"]
        self.backbone_name = options["backbone"]
        names = options["class_names"]
        self.class_names = None if names is None else list(names)
        self.image_min_side = options["image_min_side"]
        self.image_max_side = options["image_max_side"]
        self.resize = options["resize"]
        self.canvases = options["canvases"]
        self.clip_margin = options["clip_margin"]
        self.detection = dict(options["detection"] or {})
        self.progress = dict(options["progress"] or {})
        self._closures: dict[str, Loss] = {}  # the losses by output, as passed to compile
        self._densities: dict[str, Any] = {}  # the states of these losses, named as in old files
        self._criterion: Any = None  # a Criterion once compiled

    @property
    def options(self) -> dict:
        """The options of `DEFAULTS`, as plain values."""
        return {
            "anchors": self.anchor_params.get_config(),
            "pyramid_levels": list(self.pyramid_levels),
            "coder": self.coder.config,
            "normalization": self.normalization,
            "preprocessing": self.preprocessing,
            "backbone": self.backbone_name,
            "class_names": None if self.class_names is None else list(self.class_names),
            "image_min_side": self.image_min_side,
            "image_max_side": self.image_max_side,
            "resize": self.resize,
            "canvases": self.canvases,
            "clip_margin": self.clip_margin,
            "detection": dict(self.detection),
            "progress": dict(self.progress),
        }

    def get_config(self) -> dict:
        config = super().get_config()
        if any("module" not in layer for layer in config["layers"]):  # as Keras writes HDF5 files
            raise InputError(NO_HDF5)
        return {**config, **self.options}

    @classmethod
    def from_config(cls, config: dict, custom_objects: dict | None = None) -> RetinaNet:
        return super().from_config({**ADDED_LATER, **config}, custom_objects)

    def save(self, filepath: StrPath, *args: Any, **kwargs: Any) -> None:
        """Save the model with its options, see `keras.Model.save`.

        Raises:
            InputError: `filepath` ends in .h5 or .hdf5.
        """
        if str(filepath).endswith((".h5", ".hdf5")):
            raise InputError(f"{filepath}: {NO_HDF5}")
        super().save(filepath, *args, **kwargs)

    @property
    def num_classes(self) -> int:
        """The number of classes that the classification head scores."""
        return self.get_layer("classification").output.shape[-1]

    @property
    def is_training_model(self) -> bool:
        """True if the outputs are raw (regression, classification) rather than detections."""
        return {"regression", "classification"} <= set(self.output_names)

    @property
    def gives_logits(self) -> bool:
        """True if the classification head gives logits in training, as `Probabilities` does."""
        return bool(self._activations())

    @property
    def activation(self) -> str:
        """The activation of the classification's logits, a key of `ACTIVATIONS`."""
        return "softmax" if "softmax" in self._activations() else "sigmoid"

    def _activations(self) -> set[str]:
        layers = self._flatten_layers(include_self=False)
        return {layer.activation for layer in layers if isinstance(layer, Probabilities)}

    def anchors_for(self, image_shape: Sequence[int]) -> Tensor:
        """Return the anchors (N, 4) of images (H, W), whose sides may be tensors."""
        return anchors_for_shape(image_shape, self.pyramid_levels, self.anchor_params, xp=ops)

    def make_criterion(
        self, losses: dict[str, Loss | None], sampler: Sampler | None = None
    ) -> Criterion:
        """Return the criterion of losses by output; InputError if they do not suit the heads."""
        names, logits = tuple(self.output_names), self.gives_logits
        outputs = Outputs(names, self.coder, self.activation, logits, self.anchors_for)
        return Criterion(outputs, losses, sampler)

    def compile(
        self,
        optimizer: Any = "rmsprop",
        loss: Any = None,
        sampler: str | dict[str, Any] | Callable | None = None,
        **kwargs: Any,
    ) -> None:
        """Compile the model; losses of this package are saved with it and restored.

        If a loss with a state is compiled again, it keeps its state.

        Args:
            loss: Losses by output, in a dict or in the order of the outputs.
            sampler: The sampler of anchors for the classification loss, see `losses.sampling.get`.

        Raises:
            InputError: The losses or the sampler do not suit the model's heads.
        """
        if isinstance(loss, (list, tuple)):
            loss = dict(zip(self.output_names, loss, strict=True))
        given = dict(loss) if isinstance(loss, dict) else {}
        for name, old in self._closures.items():
            kept, new = spec_of(old), spec_of(given.get(name))
            if kept.density is not None and kept.config == new.config:
                given[name] = old
        self._criterion = self.make_criterion(given, sampling.get(sampler))
        self._closures = given
        self._densities.clear()
        for name, spec in self._criterion.specs.items():
            if spec.density is not None:
                self._densities[name] = spec.density  # tracked from here on
        wrapped = {name: _one_value(fn) if callable(fn) else fn for name, fn in given.items()}
        super().compile(optimizer=optimizer, loss=wrapped or loss, **kwargs)
        if set(given) == set(self.output_names) and all(map(callable, given.values())):
            values = [0.0] * len(self.outputs)  # only the number of values matters
            self._compile_loss.build(values, values)  # otherwise TensorFlow traces a step twice

    def recompile(self, optimizer: Any, **kwargs: Any) -> None:
        """Compile a compiled model with another optimizer, and its losses and sampler."""
        self.compile(optimizer, dict(self._closures), self._criterion.sampler, **kwargs)

    def get_compile_config(self) -> dict:
        """Return optimizer, losses and sampler, or {} if one of them is a user's function."""
        if not self._closures:
            return {}
        configs = {name: spec_of(fn).config for name, fn in self._closures.items()}
        sampler = self._criterion.sampler
        if None in configs.values() or (sampler and sampler.config is None):
            return {}
        optimizer = keras.saving.serialize_keras_object(self.optimizer)
        return {"optimizer": optimizer, "loss": configs, "sampler": sampler and sampler.config}

    def compile_from_config(self, config: dict) -> None:
        if not config:
            return
        optimizer = keras.saving.deserialize_keras_object(config["optimizer"])
        closures = {name: losses.get(loss) for name, loss in config["loss"].items()}
        key = "selector" if "selector" in config else "sampler"  # its name in older files
        self.compile(optimizer, closures, config[key])
        if not self.optimizer.built:
            self.optimizer.build(self.trainable_variables)

    def compute_loss(
        self,
        x: Any = None,
        y: Any = None,
        y_pred: Any = None,
        sample_weight: Tensor | None = None,
        training: bool = True,
    ) -> Tensor:
        """Return the sum of the losses of the outputs, see `Criterion.compared` for the targets."""
        y, y_pred = self._criterion.compared(x, y, y_pred, training)
        return super().compute_loss(x, y, y_pred, sample_weight, training)


def _one_value(loss: Loss) -> Loss:
    """Give a loss the shape (1,): Keras rescales it for a strategy's replicas, unlike a scalar."""

    def closure(y_true: Tensor, y_pred: Tensor) -> Tensor:
        return ops.reshape(loss(y_true, y_pred), (1,))

    closure.__name__ = spec_of(loss).name
    return closure
