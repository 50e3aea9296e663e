"""Any Keras model as a backbone."""

import keras

from ..errors import InputError
from ..layers.normalize import NORMALIZATIONS
from ..utils.model import all_layers
from ..utils.text import listed
from .backbone import Backbone, outputs_of
from .replace import replace_layers, with_quick_groups

SIDE = 256  # px, of the image that the strides of taps are checked with
SCALING = (keras.layers.Rescaling, keras.layers.Normalization)


class CustomBackbone(Backbone):
    """The functional `model` of images (B, H, W, 3) as a backbone, with its weights.

    `taps` are the names of the layers that give C3, C4 and C5, or C2 to C5: features of 1/4 (C2) to
    1/32 (C5) of the image's sides. `normalization` is what the model expects, a key of
    `NORMALIZATIONS`: by default "raw" where it scales its images itself, else "torch". `stem` is
    the last layer of its stem, for `freeze_stages=1`. Detectors are built on copies of the model,
    which take images of any size.

    Raises:
        InputError: where the model or its taps cannot serve.
    """

    def __init__(self, model, taps, normalization=None, stem=None):
        self.model, self.names, self.stem = model, [taps] if isinstance(taps, str) else taps, stem
        self.backbone = getattr(model, "name", None)
        self.validate()
        self.cut = self._of_any_size(keras.Model(model.inputs, list(self.taps(model).values())))
        scales = any(isinstance(layer, SCALING) for layer in all_layers(self.cut))
        self.normalization = normalization or ("raw" if scales else "torch")
        if self.normalization not in NORMALIZATIONS:
            known = f"a normalization among {sorted(NORMALIZATIONS)}"
            raise self._error(known, repr(normalization))

    @property
    def custom_objects(self):
        """The classes of the model's layers that are not Keras's own, by name."""
        classes = {type(layer) for layer in all_layers(self.cut)}
        return {c.__name__: c for c in classes if not c.__module__.startswith("keras.")}

    def validate(self):
        """Raises an InputError that says what was expected of the model or its taps."""
        inputs = getattr(self.model, "inputs", None) or ()
        shapes = [tuple(x.shape) for x in inputs]
        if not isinstance(self.model, keras.Model) or not shapes:
            raise InputError(
                f"Expected a functional Keras model as backbone. Received: {self.model!r}."
            )
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

    def network(self, inputs):
        return replace_layers(self.cut, with_quick_groups, inputs)

    def taps(self, network):
        return outputs_of(network, self.names)

    def _of_any_size(self, model):
        """`model`, or where it takes images of one size only, a copy that takes any.

        Raises an InputError where there can be none, or where its taps have other strides.
        """
        sides = model.inputs[0].shape[1:3]
        try:
            if sides != (None, None):
                model = replace_layers(model, with_quick_groups, keras.Input((None, None, 3)))
            shapes = model.compute_output_shape((None, SIDE, SIDE, 3))
        except Exception as error:  # whatever the layer raises that needs this size
            reason = str(error).splitlines()[0]
            received = f"one of {sides}, whose layers need that size ({reason})"
            raise self._error("a model of images of any size", received) from None
        for level, name, shape in zip(self.taps(model), self.names, shapes, strict=True):
            stride = 2 ** int(level[1:])
            if len(shape) != 4 or tuple(shape[1:3]) != (SIDE // stride, SIDE // stride):
                expected = f"features of 1/{stride} of the image's sides at {name}, its {level}"
                raise self._error(expected, f"{tuple(shape[1:])} of an image of {SIDE}x{SIDE}")
        return model

    def _error(self, expected, received):
        return InputError(f"backbone {self.backbone}: expected {expected}. Received: {received}.")
