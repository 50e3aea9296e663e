"""What every backbone family gives: features C2..C5, a detector on them, ImageNet weights."""

import os
import warnings

import keras

from ..errors import InputError
from ..layers import Normalize
from ..utils.anchors import PYRAMID_LEVELS, AnchorParameters
from .heads import default_submodels
from .norms import freeze_batch_norm, groups_for
from .pyramid import create_pyramid_features
from .retinanet import retinanet


class Backbone:
    """A backbone by name; a family overrides `network`, `taps`, `imagenet` and `allowed`."""

    normalization = "caffe"  # what the ImageNet weights expect, a key of NORMALIZATIONS

    def __init__(self, backbone):
        self.backbone = backbone
        self.validate()

    @property
    def custom_objects(self):
        """Nothing: every layer is registered with Keras. Kept for scripts that pass it on."""
        return {}

    @classmethod
    def allowed(cls):
        """The names that this family knows."""
        raise NotImplementedError

    def validate(self):
        """Raises a ValueError that names the allowed backbones if this one is not among them."""
        if self.backbone not in self.allowed():
            raise ValueError(
                f"Expected a backbone among {self.allowed()}. Received: {self.backbone!r}."
            )

    def network(self, inputs):
        """The Keras model on `inputs` (B, H, W, 3), randomly initialised."""
        raise NotImplementedError

    def taps(self):
        """{"C2": layer name, ..., "C5": layer name} in `network`."""
        raise NotImplementedError

    def imagenet(self):
        """(file name, URL, hash or None) of the ImageNet weights, or None where there are none."""
        return None

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
        from ..utils.image import preprocess_image

        return preprocess_image(inputs, mode=self.normalization)

    def features(self, inputs, weights=None, modifier=None, norm="batch"):
        """{"C2": (B, H/4, W/4, C), ..., "C5": (B, H/32, W/32, C)} of `inputs` (B, H, W, 3).

        `weights` is a file for the bare backbone; `modifier` changes the backbone's model before
        it is used (`utils.model.freeze`, say); `norm="group"` replaces its batch norm.
        """
        network = self.network(inputs)
        if weights is not None:
            load_backbone_weights(network, weights, self.backbone)
        if norm == "group":
            network = with_group_norm(network)
        if modifier is not None:
            network = modifier(network) or network
        return {level: network.get_layer(name).output for level, name in self.taps().items()}

    def retinanet(self, num_classes, inputs=None, modifier=None, weights=None, **options):
        """keras-retinanet's model: takes `preprocess_image`'s BGR, codes boxes by corners."""
        inputs = keras.Input((None, None, 3)) if inputs is None else inputs
        layers = self.features(inputs, weights, modifier)
        options = {"backbone": self.backbone, **options}
        return retinanet(inputs, layers, num_classes, **options)

    def detector(
        self,
        class_names,
        weights=None,
        freeze_bn=None,
        freeze=False,
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
        **options,
    ):
        """The model that the commands train: takes RGB 0..255 and carries all it needs to know.

        `freeze_bn=None` freezes the batch norm if there are weights; `freeze` freezes the whole
        backbone. `activation` and `prior_probability` are those of the classification head, see
        `heads`; `iou_branch` adds the prediction of a box's IoU, which multiplies its scores;
        `level_scales` as for `retinanet`. `options` are those of `RetinaNet`.
        """
        inputs = keras.Input((None, None, 3), name="image")
        images = Normalize(self.normalization, name="normalize")(inputs)
        freeze_bn = weights is not None if freeze_bn is None else freeze_bn

        def modifier(network):
            if freeze:
                network.trainable = False
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

        def pyramid(backbone_layers, levels):
            return create_pyramid_features(backbone_layers, levels, feature_size, head_norm)

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
            normalization=self.normalization,
            backbone=self.backbone,
            class_names=class_names,
            **options,
        )


def load_backbone_weights(network, path, name):
    """Loads a bare backbone's weight file into `network`; InputError if it is another's."""
    if not os.path.isfile(path):
        raise InputError(f"{path}: no such weight file.")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # one for each layer: the error says it once
            network.load_weights(path)
    except Exception as error:  # Keras raises many kinds for a file that is not its own
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise InputError(
            f"{path}: not the weights of a bare {name} ({reason}); is it another backbone?"
        ) from None


def with_group_norm(network):
    """`network` with group norm in the place of every batch norm, and its other weights."""

    def change(layer):
        if isinstance(layer, keras.layers.BatchNormalization):
            channels = layer.gamma.shape[0]
            return keras.layers.GroupNormalization(
                groups_for(channels), epsilon=1e-5, name=layer.name
            )
        return layer.__class__.from_config(layer.get_config())

    def call(layer, *args, mask=None, **kwargs):  # batch norm takes a mask, group norm does not
        return layer(*args, **kwargs)

    changed = keras.models.clone_model(
        network, input_tensors=network.inputs, clone_function=change, call_function=call
    )
    for layer in network.layers:
        if not isinstance(layer, keras.layers.BatchNormalization):
            changed.get_layer(layer.name).set_weights(layer.get_weights())
    return changed
