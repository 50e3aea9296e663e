"""Any Keras model as a backbone."""

from collections.abc import Sequence
from typing import Any

import keras

from ..errors import InputError
from ..normalization import NORMALIZATIONS
from ..typing import Tensor
from ..utils.model import all_layers
from ..utils.text import listed
from .backbone import Backbone, outputs_of
from .replace import replace_layers, with_quick_groups

SIDE = 256  # px, of the image that checks the strides of taps
SCALING = (keras.layers.Rescaling, keras.layers.Normalization)


class CustomBackbone(Backbone):
    """The functional `model` of images (B, H, W, 3) as a backbone, with its weights.

    Detectors are built on copies of the model, which take images of any size.

    Args:
        taps: the names of the layers that give C3, C4 and C5, or C2 to C5: features with 1/4 (C2)
            to 1/32 (C5) of the image's sides.
        normalization: the normalization that the model expects, a key of `NORMALIZATIONS`; None
            means "raw" if the model scales its images itself, else "torch".
        stem: the last layer of the model's stem, for `Freeze(stages=1)`.

    Raises:
        InputError: if the model or its taps are not usable.
    """

    def __init__(
        self,
        model: keras.Model,
        taps: Sequence[str] | str,
        normalization: str | None = None,
        stem: str | None = None,
    ) -> None:
        self.model, self.names, self.stem = model, [taps] if isinstance(taps, str) else taps, stem
        self.backbone = model.name if isinstance(model, keras.Model) else ""
        self.validate()
        self.cut = self._of_any_size(keras.Model(model.inputs, list(self.taps(model).values())))
        scales = any(isinstance(layer, SCALING) for layer in all_layers(self.cut))
        self.normalization = normalization or ("raw" if scales else "torch")
        if self.normalization not in NORMALIZATIONS:
            known = ", ".join(NORMALIZATIONS)
            raise InputError(f"Unknown normalization {normalization!r}; known: {known}.")

    @property
    def custom_objects(self) -> dict:
        """Return {name: class} of the model's layers that are not Keras's."""
        classes = {type(layer) for layer in all_layers(self.cut)}
        return {c.__name__: c for c in classes if not c.__module__.startswith("keras.")}

    def validate(self) -> None:
        """Raise an InputError unless the model and its taps can be a backbone."""
        try:
            shapes = [tuple(x.shape) for x in self.model.inputs]
        except (AttributeError, TypeError):  # not functional, or not a model
            raise InputError(
                f"The backbone must be a functional Keras model, got {self.model!r}."
            ) from None
        if len(shapes) > 1 or len(shapes[0]) != 4 or shapes[0][-1] != 3:
            raise self._error("an input (batch, height, width, 3)", shapes)
        layers = [layer.name for layer in self.model.layers]
        if not isinstance(self.names, (list, tuple)) or len(self.names) not in (3, 4):
            raise self._error("three taps (C3, C4, C5) or four (C2 to C5)", self.names)
        unknown = [name for name in self.names if name not in layers]
        if unknown:
            raise self._error(f"taps among its layers, such as {listed(layers[::-1], 8)}", unknown)
        if self.stem not in (None, *layers):
            raise self._error("one of its layers as stem", self.stem)

    def network(self, inputs: Tensor) -> keras.Model:
        return replace_layers(self.cut, with_quick_groups, inputs)

    def taps(self, network: keras.Model) -> dict:
        return outputs_of(network, self.names)

    def _of_any_size(self, model: keras.Model) -> keras.Model:
        """Return `model`, or a copy that takes images of any size if `model` takes only one size.

        Raises:
            InputError: if there is no such copy, or if the taps have wrong strides.
        """
        sides = model.inputs[0].shape[1:3]
        try:
            if sides != (None, None):
                model = replace_layers(model, with_quick_groups, keras.Input((None, None, 3)))
            shapes = model.compute_output_shape((None, SIDE, SIDE, 3))
        except Exception as error:  # depends on the layer that needs this size
            reason = str(error).splitlines()[0]
            received = f"the fixed size {sides} that its layers need ({reason})"
            raise self._error("an input of any size", received) from None
        for level, name, shape in zip(self.taps(model), self.names, shapes, strict=True):
            stride = 2 ** int(level[1:])
            if len(shape) != 4 or tuple(shape[1:3]) != (SIDE // stride, SIDE // stride):
                expected = f"features of 1/{stride} of the image's sides at {name}, its {level}"
                raise self._error(expected, f"{tuple(shape[1:])} of an image of {SIDE}x{SIDE}")
        return model

    def _error(self, expected: str, received: Any) -> InputError:
        return InputError(f"The backbone {self.backbone} must have {expected}, got {received}.")
