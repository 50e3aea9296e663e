"""What every backbone family gives: features C2..C5, a detector on them, ImageNet weights."""

import os
import re
import warnings
from functools import partial
from types import MappingProxyType

import keras

from ..errors import InputError
from ..layers import Normalize, PadToMultiple
from ..layers.normalize import normalize_bgr
from ..utils.anchors import PYRAMID_LEVELS, AnchorParameters
from .detector import checked_names
from .heads import default_submodels
from .norms import freeze_batch_norm, with_norm
from .pyramid import create_pyramid_features
from .retinanet import retinanet


class Backbone:
    """A backbone by name; a family overrides `network`, `taps`, `imagenet` and `allowed`."""

    normalization = "caffe"  # what the ImageNet weights expect, a key of NORMALIZATIONS
    stem = None  # the last layer of the network's stem
    sources = MappingProxyType({})  # by name, files of ImageNet weights to be imported
    known_options = ()  # the names of what `network` may be varied by

    def __init__(self, backbone, **options):
        self.backbone = self.known_as(backbone)
        self.validate()
        self.options = {name: value for name, value in options.items() if value is not None}
        if not set(self.options) <= set(self.known_options):
            raise ValueError(
                f"Expected options of {self.backbone} among {self.known_options}. "
                f"Received: {self.options}."
            )

    @classmethod
    def known_as(cls, name):
        """The name among those that are allowed of one in other letters (keras-retinanet wrote
        EfficientNetB0), or with more or fewer zeros behind its width; others as they are.
        """
        allowed = {_plain(each): each for each in cls.allowed()}
        return allowed.get(_plain(name), name)

    @property
    def custom_objects(self):
        """Nothing: every layer is registered with Keras. Kept for scripts that pass it on."""
        return {}

    @classmethod
    def allowed(cls):
        """The names that this family knows."""
        return []

    def validate(self):
        """Raises a ValueError that names the allowed backbones if this one is not among them."""
        if self.backbone not in self.allowed():
            raise ValueError(
                f"Expected a backbone among {self.allowed()}. Received: {self.backbone!r}."
            )

    def network(self, inputs):
        """The Keras model on `inputs` (B, H, W, 3), randomly initialised."""
        raise NotImplementedError

    def taps(self, network):
        """{"C2": (B, H/4, W/4, C), ..., "C5": (B, H/32, W/32, C)} of `network`."""
        raise NotImplementedError

    def imagenet(self):
        """(file name, URL, hash or None) of the ImageNet weights, or None where there are none."""
        return None

    def imagenet_source(self):
        """Where ImageNet weights come from: "keras.applications", which are downloaded, or what
        `retinanet-import-weights backbone` takes, or None.
        """
        return "keras.applications" if self.imagenet() else self.sources.get(self.backbone)

    def download_imagenet(self):
        """The path of the ImageNet weights, downloaded once; InputError if they cannot be had."""
        known = self.imagenet()
        advice = "Pass --no-weights to train from scratch or --weights FILE for a file you have."
        if known is None:
            raise InputError(f"There are no ImageNet weights for {self.backbone}. {advice}")
        name, url, digest = known
        try:
            return keras.utils.get_file(name, url, cache_subdir="models", file_hash=digest)
        except Exception as error:
            reason = str(error).splitlines()[0]
            raise InputError(
                f"Could not download the ImageNet weights of {self.backbone}: {reason}. {advice}"
            ) from None

    def preprocess_image(self, inputs):
        """BGR images (..., 3) of 0..255 as the ImageNet weights expect them."""
        return normalize_bgr(inputs, self.normalization)

    def features(self, inputs, weights=None, modifier=None, norm="batch"):
        """{"C2": (B, H/4, W/4, C), ..., "C5": (B, H/32, W/32, C)} of `inputs` (B, H, W, 3).

        `weights` is a file for the bare backbone; `modifier` changes the backbone's model before
        it is used (`utils.model.freeze`, say); `norm`, "group" or "sync_batch", replaces its batch
        norm.
        """
        network = self.network(inputs)
        if weights is not None:
            load_backbone_weights(network, weights, self.backbone)
        network = with_norm(network, norm)
        if modifier is not None:
            network = modifier(network) or network
        return self.taps(network)

    def freeze_stages(self, network, count):
        """Freezes the stem of `network` where `count` is 1, and all that C2 to C5 are made of where
        it is 2 to 5, as Detectron2's FREEZE_AT: weights stay, batch norm is in inference mode.
        """
        stages = {int(level[1:]): tensor for level, tensor in self.taps(network).items()}
        if self.stem is not None:
            stages[1] = network.get_layer(self.stem).output
        if count not in (0, *stages):
            raise InputError(
                f"Expected the stages to freeze of {self.backbone} to be one of "
                f"{[0, *sorted(stages)]}. Received: {count}."
            )
        frozen = [tensor for stage, tensor in stages.items() if stage <= count]
        for layer in keras.Model(network.inputs, frozen).layers if frozen else ():
            layer.trainable = False

    def retinanet(
        self,
        num_classes,
        inputs=None,
        modifier=None,
        weights=None,
        normalization=None,
        **options,
    ):
        """keras-retinanet's model: codes boxes by corners and takes what `preprocess_image` gives,
        or RGB 0..255 where `normalization` is a key of `NORMALIZATIONS`.
        """
        inputs = images = keras.Input((None, None, 3)) if inputs is None else inputs
        if normalization is not None:
            images = Normalize(normalization, name="normalize")(inputs)
        layers = self.features(images, weights, modifier)
        known = {"normalization": normalization, "preprocessing": self.normalization}
        options = {"backbone": self.backbone, **known, **options}
        return retinanet(inputs, layers, num_classes, **options)

    def detector(
        self,
        class_names,
        weights=None,
        freeze_bn=None,
        freeze=False,
        freeze_stages=0,
        norm="batch",
        feature_size=256,
        head_size=None,
        head_depth=4,
        head_norm="none",
        anchors=None,
        pyramid_levels=PYRAMID_LEVELS,
        coder="center_size",
        activation="sigmoid",
        prior_probability=0.01,
        iou_branch=False,
        level_scales=False,
        normalization=None,
        pad_to=None,
        pyramid_norm=None,
        p6_from="C5",
        p7_relu=True,
        strided_padding="same",
        **options,
    ):
        """The model that the commands train: takes RGB 0..255 and carries all it needs to know.

        `freeze_bn=None` freezes the batch norm if there are weights; `freeze` freezes the whole
        backbone and `freeze_stages` its first stages, see that method; `norm` as for `features`.
        `activation` and `prior_probability` are those of the classification head, see
        `heads`; `iou_branch` adds the prediction of a box's IoU, which multiplies its scores;
        `level_scales` as for `retinanet`. `normalization` is another key of `NORMALIZATIONS` than
        the backbone's; `pad_to` pads normalised images in the graph to a multiple of it, px.
        `pyramid_norm` (by default `head_norm`), `p6_from`, `p7_relu` and `strided_padding` are
        those of `create_pyramid_features`. `options` are those of `RetinaNet`.

        Raises:
            InputError: for no names of classes or one that is there twice, levels or stages that
                the backbone does not have, and weights of another one.
        """
        class_names = checked_names(class_names)
        normalization = normalization or self.normalization
        inputs = keras.Input((None, None, 3), name="image")
        images = Normalize(normalization, name="normalize")(inputs)
        if pad_to is not None:
            images = PadToMultiple(pad_to, name="pad")(images)
        freeze_bn = weights is not None if freeze_bn is None else freeze_bn

        def modifier(network):
            if freeze:
                network.trainable = False
            self.freeze_stages(network, freeze_stages)
            return freeze_batch_norm(network) if freeze_bn else network

        anchors = anchors or AnchorParameters.default
        submodels = default_submodels(
            len(class_names),
            anchors.num_anchors(),
            feature_size,
            head_size or feature_size,
            head_depth,
            head_norm,
            coder,
            activation,
            prior_probability,
            iou_branch,
        )
        pyramid = partial(
            create_pyramid_features,
            feature_size=feature_size,
            norm=pyramid_norm or head_norm,
            p6_from=p6_from,
            p7_relu=p7_relu,
            strided_padding=strided_padding,
        )
        return retinanet(
            inputs,
            self.features(images, weights, modifier, norm),
            len(class_names),
            create_pyramid_features=pyramid,
            pyramid_levels=pyramid_levels,
            submodels=submodels,
            level_scales=level_scales,
            anchors=anchors,
            coder=coder,
            normalization=normalization,
            backbone=self.backbone,
            class_names=class_names,
            **options,
        )


def _plain(name):
    return re.sub(r"(_\d\.\d+?)0+$", r"\1", name.lower())


def outputs_of(network, names):
    """{"C2": ..., "C5": ...}, the outputs of the layers of `network` of these names, C5 the last
    of them.
    """
    first = 6 - len(names)
    return {f"C{first + i}": network.get_layer(name).output for i, name in enumerate(names)}


def load_backbone_weights(network, path, name):
    """Loads a bare backbone's weight file into `network`; InputError if it is another's."""
    if not os.path.isfile(path):
        raise InputError(f"{path}: no such weight file.")
    if str(path).endswith((".pth", ".pt", ".pkl", ".safetensors")):
        raise InputError(
            f"{path}: expected a file of Keras; make one of it with retinanet-import-weights."
        )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # one for each layer: the error says it once
            network.load_weights(path)
    except Exception as error:  # Keras raises many kinds for a file that is not its own
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise InputError(
            f"{path}: not the weights of a bare {name} ({reason}); is it another backbone?"
        ) from None
