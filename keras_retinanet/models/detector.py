"""RetinaNet as a Keras model that knows itself."""

import keras
from keras import ops

from .. import coders, losses
from ..boxes import iou
from ..losses.classification import to_logits
from ..nms import gather
from ..utils.anchors import PYRAMID_LEVELS, AnchorParameters, anchors_for_shape
from .heads import Probabilities


@keras.saving.register_keras_serializable("keras_retinanet")
class RetinaNet(keras.Model):
    """A functional detector and what its outputs mean, saved and loaded together.

    Outputs are [regression (B, N, 4), classification (B, N, K), *others] of a training model, or
    [boxes (B, D, 4), scores (B, D), labels (B, D), *others] of an inference model; the input is
    (B, H, W, 3). `retinanet`, `retinanet_bbox` and the backbones build it.

    Options: `anchors` (AnchorParameters or its dict), `pyramid_levels`, `coder` (a name or dict,
    see `coders`), `normalization` (a key of `NORMALIZATIONS` when it is part of the graph, None
    when the input is what `preprocess_image` gives), `backbone` (its name), `class_names`,
    `image_min_side` and `image_max_side` (px), `clip_margin` (px), `detection`, the arguments of
    `retinanet_bbox`'s filter, and `progress`, how far the training has come.
    """

    def __init__(
        self,
        inputs,
        outputs,
        name=None,
        *,
        anchors=None,
        pyramid_levels=PYRAMID_LEVELS,
        coder="corners",
        normalization=None,
        backbone=None,
        class_names=None,
        image_min_side=800,
        image_max_side=1333,
        clip_margin=0,
        detection=None,
        progress=None,
        **kwargs,
    ):
        super().__init__(inputs, outputs, name=name, **kwargs)
        anchors = AnchorParameters(**anchors) if isinstance(anchors, dict) else anchors
        self.anchor_params = anchors or AnchorParameters.default
        self.pyramid_levels = [int(level) for level in pyramid_levels]
        self.coder = coders.get(coder)
        self.normalization = normalization
        self.backbone_name = backbone
        self.class_names = None if class_names is None else list(class_names)
        self.image_min_side = image_min_side
        self.image_max_side = image_max_side
        self.clip_margin = clip_margin
        self.detection = dict(detection or {})
        self.progress = dict(progress or {})
        self._closures = {}  # the losses by output, as they were given to compile

    @property
    def options(self):
        """The options that the model was made with, as plain values."""
        return {
            "anchors": self.anchor_params.get_config(),
            "pyramid_levels": list(self.pyramid_levels),
            "coder": self.coder.config,
            "normalization": self.normalization,
            "backbone": self.backbone_name,
            "class_names": None if self.class_names is None else list(self.class_names),
            "image_min_side": self.image_min_side,
            "image_max_side": self.image_max_side,
            "clip_margin": self.clip_margin,
            "detection": dict(self.detection),
            "progress": dict(self.progress),
        }

    def get_config(self):
        return {**super().get_config(), **self.options}

    @property
    def is_training_model(self):
        """Whether the outputs are raw (regression, classification) rather than detections."""
        return {"regression", "classification"} <= set(self.output_names)

    @property
    def gives_logits(self):
        """Whether the classification head gives logits in training, as `Probabilities` does."""
        layers = self._flatten_layers(include_self=False)
        return any(isinstance(layer, Probabilities) for layer in layers)

    def anchors_for(self, image_shape):
        """The anchors (N, 4) of images (H, W), in the graph where the sides are tensors."""
        return anchors_for_shape(image_shape, self.pyramid_levels, self.anchor_params, xp=ops)

    def compile(self, optimizer="rmsprop", loss=None, **kwargs):
        """`keras.Model.compile`; losses of this package are saved with the model and restored."""
        if isinstance(loss, (list, tuple)):
            loss = dict(zip(self.output_names, loss, strict=True))
        self._closures = loss if isinstance(loss, dict) else {}
        wrapped = {
            name: _one_value(fn) if callable(fn) else fn for name, fn in self._closures.items()
        }
        super().compile(optimizer=optimizer, loss=wrapped or loss, **kwargs)

    def get_compile_config(self):
        """Optimizer and losses, where all of the losses are this package's; else nothing."""
        configs = {name: getattr(fn, "config", None) for name, fn in self._closures.items()}
        if not configs or None in configs.values():
            return {}
        optimizer = keras.saving.serialize_keras_object(self.optimizer)
        return {"optimizer": optimizer, "loss": configs}

    def compile_from_config(self, config):
        if not config:
            return
        optimizer = keras.saving.deserialize_keras_object(config["optimizer"])
        self.compile(optimizer, {name: losses.get(loss) for name, loss in config["loss"].items()})
        self.optimizer.build(self.trainable_variables)

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        """The sum of the losses of the outputs.

        `y` is {boxes (B, M, 4) px, labels (B, M), matches (B, N)}, with matches as `assigners` give
        them, or the dense (regression (B, N, 5), classification (B, N, K + 1), *others), in this
        order or by name. Each closure gets what it compares: deltas or boxes, logits or
        probabilities.
        """
        regression, scores, *others = y_pred
        box_loss, class_loss = map(self._closures.get, ("regression", "classification"))
        in_boxes = getattr(box_loss, "space", "deltas") == "boxes"
        quality = getattr(class_loss, "quality", False)
        anchors = None
        if isinstance(y, dict) and "matches" not in y:
            y = [y[name] for name in self.output_names]
        if in_boxes or quality or isinstance(y, dict):
            anchors = self.anchors_for(ops.shape(x)[1:3])[None]  # (1, N, 4)
        if isinstance(y, dict):
            y = self._expand(y, anchors, scores.shape[-1])
        deltas, labels, *rest = y
        deltas = ops.convert_to_tensor(deltas)
        if in_boxes or quality:
            matched = self.coder.decode(anchors, deltas[..., :4], ops)  # (B, N, 4)
            decoded = self.coder.decode(anchors, regression, ops)  # (B, N, 4)
        if quality:
            overlap = ops.stop_gradient(iou(decoded, matched, ops))[..., None]  # (B, N, 1)
            labels = ops.concatenate([labels[..., :-1] * overlap, labels[..., -1:]], axis=-1)
        if in_boxes:
            deltas = ops.concatenate([matched, deltas[..., 4:]], axis=-1)
            regression = decoded
        wants_logits = getattr(class_loss, "from_logits", False)
        are_logits = training and self.gives_logits
        if are_logits and not wants_logits:
            scores = ops.sigmoid(scores)
        elif wants_logits and not are_logits:
            scores = to_logits(scores)
        return super().compute_loss(
            x, [deltas, labels, *rest], [regression, scores, *others], sample_weight, training
        )

    def _expand(self, y, anchors, num_classes):
        """Dense targets [(B, N, 5), (B, N, K + 1)] of compact ones."""
        matches = ops.cast(y["matches"], "int32")  # (B, N)
        state = ops.cast(ops.where(matches >= 0, 1, ops.where(matches == -1, 0, -1)), "float32")
        rows = ops.maximum(matches, 0)  # (B, N)
        boxes = gather(ops.cast(y["boxes"], "float32"), rows)  # (B, N, 4)
        deltas = self.coder.encode(anchors, boxes, ops)
        labels = ops.one_hot(gather(ops.cast(y["labels"], "int32"), rows), num_classes)
        labels = labels * ops.cast(matches >= 0, "float32")[..., None]  # (B, N, K)
        return [ops.concatenate([part, state[..., None]], axis=-1) for part in (deltas, labels)]


def _one_value(loss):
    """`loss` as shape (1,): Keras rescales that for the replicas of a strategy, not a scalar."""

    def closure(y_true, y_pred):
        return ops.reshape(loss(y_true, y_pred), (1,))

    closure.__name__ = getattr(loss, "__name__", "loss")
    return closure
