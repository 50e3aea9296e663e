"""The base of the backbone families: features C2 to C5, detectors on them, ImageNet weights."""

from __future__ import annotations

import os
import re
import warnings
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import keras

from ..errors import InputError
from ..normalization import normalize_bgr
from ..parts import Design, Freeze
from ..typing import StrPath, Tensor
from ..utils.text import listed, printable
from .build import build_detector, heads_of, prepared
from .detector import RetinaNet
from .finite import check_finite
from .norms import freeze_batch_norm, with_norm
from .options import checked_names
from .retinanet import retinanet


class Backbone:
    """A backbone by name; a family overrides `network`, `taps`, `imagenet` and `allowed`."""

    normalization = "caffe"  # for the ImageNet weights, a key of NORMALIZATIONS
    stem: str | None = None  # the last layer of the network's stem
    sources: Mapping[str, str] = MappingProxyType({})  # {name: ImageNet weights to import}
    known_options: tuple[str, ...] = ()  # names of the options that change `network`

    def __init__(self, backbone: str, **options: Any) -> None:
        self.backbone = self.known_as(backbone)
        self.validate()
        self.options = {name: value for name, value in options.items() if value is not None}
        unknown = sorted(set(self.options) - set(self.known_options))
        if unknown:
            raise ValueError(
                f"{self.backbone}: unknown options {listed(unknown)}; "
                f"known: {listed(self.known_options)}."
            )

    @classmethod
    def known_as(cls, name: str) -> str:
        """Return the allowed name that `name` spells with other capitals or zeros, else `name`.

        keras-retinanet writes EfficientNetB0, and mobilenet224_0.50 is mobilenet224_0.5.
        """
        allowed = {_plain(each): each for each in cls.allowed()}
        return allowed.get(_plain(name), name)

    @property
    def custom_objects(self) -> dict:
        """Return {}, because Keras knows every layer. Kept for scripts that pass it on."""
        return {}

    @classmethod
    def allowed(cls) -> list[str]:
        """Return the names that this family knows."""
        return []

    def validate(self) -> None:
        """Raise a ValueError that lists the known names if this one is not among them."""
        if self.backbone not in self.allowed():
            known = ", ".join(self.allowed())
            raise ValueError(f"Unknown backbone {self.backbone!r}; known: {known}.")

    def network(self, inputs: Tensor) -> keras.Model:
        """Return the Keras model on `inputs` (B, H, W, 3), randomly initialised."""
        raise NotImplementedError

    def taps(self, network: keras.Model) -> dict:
        """Return {"C2": (B, H/4, W/4, C), ..., "C5": (B, H/32, W/32, C)} of `network`."""
        raise NotImplementedError

    def imagenet(self) -> tuple | None:
        """Return (file name, URL, hash or None) of the ImageNet weights, None if there are none."""
        return None

    def imagenet_source(self) -> str | None:
        """Return "keras.applications" if Keras downloads the weights, else the file to import."""
        return "keras.applications" if self.imagenet() else self.sources.get(self.backbone)

    def download_imagenet(self) -> str:
        """Return the path of the ImageNet weights; download them once.

        Raises:
            InputError: if there are no such weights, or the download fails.
        """
        known = self.imagenet()
        advice = "Train from scratch with no_weights, or pass a weight file as weights."
        if known is None:
            raise InputError(f"There are no ImageNet weights for {self.backbone}. {advice}")
        name, url, digest = known
        try:
            return keras.utils.get_file(name, url, cache_subdir="models", file_hash=digest)
        except Exception as error:
            reason = str(error).splitlines()[0].rpartition(" -- ")[2]  # without the URL
            raise InputError(
                f"Could not download the ImageNet weights of {self.backbone}: {reason}. {advice}"
            ) from None

    def preprocess_image(self, inputs: Tensor) -> Tensor:
        """Return BGR images (..., 3) of 0 to 255, normalized for the ImageNet weights."""
        return normalize_bgr(inputs, self.normalization)

    def features(
        self,
        inputs: Tensor,
        weights: StrPath | None = None,
        modifier: Callable[[keras.Model], keras.Model | None] | None = None,
        norm: str = "batch",
    ) -> dict:
        """Return {"C2": (B, H/4, W/4, C), ..., "C5": (B, H/32, W/32, C)} of normalized images.

        Args:
            inputs: images (B, H, W, 3).
            weights: a weight file of the bare backbone.
            modifier: changes the backbone's Keras model before it is used; `utils.model.freeze`
                is one. It may return another model.
            norm: replaces the batch norm, if it is "group" or "sync_batch".
        """
        network = self.network(inputs)
        if weights is not None:
            load_backbone_weights(network, weights, self.backbone)
        network = with_norm(network, norm)
        if modifier is not None:
            network = modifier(network) or network
        return self.taps(network)

    def freeze_stages(self, network: keras.Model, count: int) -> None:
        """Freeze the first stages of `network`: 1 is the stem, 2 to 5 the layers up to C2 to C5.

        As with Detectron2's FREEZE_AT, batch norm is in inference mode in frozen stages.

        Raises:
            InputError: for a stage that the backbone does not have.
        """
        stages = {int(level[1:]): tensor for level, tensor in self.taps(network).items()}
        if self.stem is not None:
            stages[1] = network.get_layer(self.stem).output
        if count not in (0, *stages):
            raise InputError(
                f"Cannot freeze {count} stages of {self.backbone}; "
                f"possible: {listed([0, *sorted(stages)])}."
            )
        frozen = [tensor for stage, tensor in stages.items() if stage <= count]
        for layer in keras.Model(network.inputs, frozen).layers if frozen else ():
            layer.trainable = False

    def retinanet(
        self,
        num_classes: int,
        inputs: Tensor | None = None,
        modifier: Callable[[keras.Model], keras.Model | None] | None = None,
        **kwargs: Any,
    ) -> RetinaNet:
        """Return keras-retinanet's model, for images from `preprocess_image`.

        Args:
            num_classes: K.
            inputs: images (B, H, W, 3); None for a new input.
            modifier: changes the backbone's Keras model before it is used, see `features`.
            kwargs: arguments of `models.retinanet.retinanet`.
        """
        inputs = keras.Input((None, None, 3)) if inputs is None else inputs
        features = self.features(inputs, modifier=modifier)
        model = retinanet(inputs, features, num_classes, **kwargs)
        model.backbone_name, model.preprocessing = self.backbone, self.normalization
        return model

    def detector(
        self,
        class_names: Sequence[str] | int,
        weights: StrPath | None = None,
        design: Design = Design(),
        freeze: Freeze = Freeze(),
        norm: str = "batch",
        progress: dict | None = None,
    ) -> RetinaNet:
        """Return a training model that knows its classes, anchors, box coder and normalization.

        Args:
            class_names: the names of the classes, or their number if they have no names.
            weights: a weight file of the bare backbone.
            design: everything but backbone and classes.
            freeze: the parts of the backbone that training leaves as they are.
            norm: replaces the backbone's batch norm, if it is "group" or "sync_batch".
            progress: the state of the training, which `RetinaNet` keeps.

        Raises:
            InputError: for missing or repeated class names, for levels or stages that the backbone
                does not have, and for weights of another backbone.
        """
        names = None if isinstance(class_names, int) else checked_names(class_names)
        num_classes = class_names if isinstance(class_names, int) else len(class_names)
        normalization = design.inputs.normalization
        normalization = self.normalization if normalization == "auto" else normalization
        inputs = keras.Input((None, None, 3), name="image")
        images = prepared(inputs, normalization, design.inputs.pad_to)
        freeze_bn = weights is not None if freeze.batch_norm is None else freeze.batch_norm

        def frozen(network: keras.Model) -> keras.Model:
            if freeze.backbone:
                network.trainable = False
            self.freeze_stages(network, freeze.stages)
            return freeze_batch_norm(network) if freeze_bn else network

        facts = {
            "backbone": self.backbone,
            "class_names": names,
            "normalization": normalization,
            "preprocessing": design.inputs.preprocessing or self.normalization,
            "progress": progress,
        }
        heads = heads_of(design, num_classes)  # before the backbone, because the order sets seeds
        features = self.features(images, weights, frozen, norm)
        return build_detector(inputs, features, heads, design, facts)


def _plain(name: str) -> str:
    return re.sub(r"(_\d\.\d+?)0+$", r"\1", name.lower())


def outputs_of(network: keras.Model, names: Sequence[str]) -> dict:
    """Return {"C2": ..., "C5": ...}: the outputs of the named layers, of which the last is C5."""
    first = 6 - len(names)
    return {f"C{first + i}": network.get_layer(name).output for i, name in enumerate(names)}


def load_backbone_weights(network: keras.Model, path: StrPath, name: str) -> None:
    """Load the weight file of the bare backbone `name` into its network.

    Raises:
        InputError: for a missing file, or a file of another framework or backbone.
    """
    if not os.path.exists(path):
        raise InputError(f"{path}: no such weight file.")
    if not os.path.isfile(path):
        raise InputError(f"{path} is not a regular file; pass a weight file.")
    if not str(path).endswith((".h5", ".keras")):
        raise InputError(f"{path}: not a Keras file; convert it with retinanet-import-weights.")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Keras warns for each layer; the error comes once
            network.load_weights(path)
    except Exception as error:  # Keras raises many kinds of errors for other weights
        reason = printable((str(error) or type(error).__name__).splitlines()[0])
        raise InputError(
            f"{path}: not the weights of a bare {name} ({reason}); choose another file."
        ) from None
    check_finite(path, network)
