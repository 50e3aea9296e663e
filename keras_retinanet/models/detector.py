"""RetinaNet as a Keras model that knows itself."""

import keras
from keras import ops

from .. import coders, losses
from ..boxes import iou
from ..errors import InputError
from ..losses import selection
from ..losses.reduction import IGNORE, OBJECT, OMITTED, split
from ..utils.anchors import PYRAMID_LEVELS, AnchorParameters, anchors_for_shape
from .heads import ACTIVATIONS, Probabilities
from .targets import dense_targets, in_form_of, with_state


@keras.saving.register_keras_serializable("keras_retinanet")
class RetinaNet(keras.Model):
    """A functional detector and what its outputs mean, saved and loaded together.

    Outputs are [regression (B, N, 4), classification (B, N, K), *others] of a training model, or
    [boxes (B, D, 4), scores (B, D), labels (B, D), *others] of an inference model; the input is
    (B, H, W, 3). `retinanet`, `retinanet_bbox` and the backbones build it.

    Options: `anchors` (AnchorParameters or its dict), `pyramid_levels`, `coder` (a name or dict,
    see `coders`), `normalization` (a key of `NORMALIZATIONS` when it is part of the graph, else
    None), `preprocessing` (the key of what the input has gone through where it is not), `backbone`
    (its name), `class_names`, `image_min_side` and `image_max_side` (px), `resize` (a key of
    `utils.resizing.RESIZES`, how images are brought to these sides), `canvases` ("few": images are
    padded to one of a few sizes, "own": only to the largest of their batch), `clip_margin` (px),
    `detection`, the arguments of `retinanet_bbox`'s filter, and `progress`, how far the training
    has come.
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
        preprocessing="caffe",
        backbone=None,
        class_names=None,
        image_min_side=800,
        image_max_side=1333,
        resize="opencv",
        canvases="few",
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
        self.preprocessing = preprocessing
        self.backbone_name = backbone
        self.class_names = None if class_names is None else checked_names(class_names)
        self.image_min_side = image_min_side
        self.image_max_side = image_max_side
        self.resize = resize
        self.canvases = canvases
        self.clip_margin = clip_margin
        self.detection = dict(detection or {})
        self.progress = dict(progress or {})
        self._closures = {}  # the losses by output, as they were given to compile
        self._densities = {}  # the state of those that have one
        self._selector = None

    @property
    def options(self):
        """The options that the model was made with, as plain values."""
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

    def get_config(self):
        return {**super().get_config(), **self.options}

    @property
    def is_training_model(self):
        """Whether the outputs are raw (regression, classification) rather than detections."""
        return {"regression", "classification"} <= set(self.output_names)

    @property
    def gives_logits(self):
        """Whether the classification head gives logits in training, as `Probabilities` does."""
        return bool(self._activations())

    @property
    def activation(self):
        """What makes probabilities of the classification's logits, a key of `ACTIVATIONS`."""
        return "softmax" if "softmax" in self._activations() else "sigmoid"

    def _activations(self):
        layers = self._flatten_layers(include_self=False)
        return {layer.activation for layer in layers if isinstance(layer, Probabilities)}

    def anchors_for(self, image_shape):
        """The anchors (N, 4) of images (H, W), in the graph where the sides are tensors."""
        return anchors_for_shape(image_shape, self.pyramid_levels, self.anchor_params, xp=ops)

    def compile(self, optimizer="rmsprop", loss=None, selector=None, **kwargs):
        """`keras.Model.compile`; losses of this package are saved with the model and restored.

        `selector`, see `losses.selection`, chooses the anchors that the classification loss is of.
        A loss with a `density` that was compiled before goes on with it.
        """
        if isinstance(loss, (list, tuple)):
            loss = dict(zip(self.output_names, loss, strict=True))
        before = self._closures
        self._closures = dict(loss) if isinstance(loss, dict) else {}
        for name, fn in self._closures.items():
            if hasattr(fn, "density") and getattr(before.get(name), "config", None) == fn.config:
                self._closures[name] = before[name]  # with what it remembers
        self._selector = selection.get(selector)
        self.check_losses(self._closures, self._selector)
        self._densities.clear()
        for name, fn in self._closures.items():
            if hasattr(fn, "density"):
                self._densities[name] = fn.density  # tracked from here on
        wrapped = {
            name: _one_value(fn) if callable(fn) else fn for name, fn in self._closures.items()
        }
        super().compile(optimizer=optimizer, loss=wrapped or loss, **kwargs)

    def check_losses(self, loss, selector=None):
        """InputError where closures by output, or a selector, do not go with the model's heads."""
        class_loss, box_loss = loss.get("classification"), loss.get("regression")
        wanted = getattr(class_loss, "activation", self.activation)
        if self.gives_logits and wanted != self.activation:
            raise InputError(
                f"Expected a classification loss for {self.activation}, as the head is. "
                f"Received: {_name_of(class_loss)}, which is for {wanted}."
            )
        if selector and not hasattr(class_loss, "each"):
            raise InputError(
                f"Expected a classification loss that the selector {selector.config['name']} can "
                f"ask for the loss of each anchor. Received: {_name_of(class_loss)}."
            )
        has_bins = self.coder.size > 4
        space = getattr(box_loss, "space", "boxes")
        if has_bins < getattr(box_loss, "of_bins", False) or (
            space == "deltas" and has_bins > getattr(box_loss, "of_bins", False)
        ):
            raise InputError(
                "Expected a box coder "
                + ("without bins" if has_bins else "with bins, such as distances:bins=16,")
                + f" for the box loss {_name_of(box_loss)}. Received: {self.coder.config['name']}."
            )

    def get_compile_config(self):
        """Optimizer and losses, where all of the losses are this package's; else nothing."""
        configs = {name: getattr(fn, "config", None) for name, fn in self._closures.items()}
        if not configs or None in configs.values():
            return {}
        optimizer = keras.saving.serialize_keras_object(self.optimizer)
        selector = self._selector and self._selector.config
        return {"optimizer": optimizer, "loss": configs, "selector": selector}

    def compile_from_config(self, config):
        if not config:
            return
        optimizer = keras.saving.deserialize_keras_object(config["optimizer"])
        closures = {name: losses.get(loss) for name, loss in config["loss"].items()}
        self.compile(optimizer, closures, config.get("selector"))
        self.optimizer.build(self.trainable_variables)

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        """The sum of the losses of the outputs.

        `y` is {boxes (B, M, 4) px, labels (B, M), matches (B, N)}, with matches as `assigners` give
        them, or the dense (regression (B, N, 5), classification (B, N, K + 1), *others), in this
        order or by name. Each closure gets what it compares: deltas or boxes, logits or
        probabilities, the IoU of the decoded boxes in the place of the labels' 1.
        """
        predicted = dict(zip(self.output_names, y_pred, strict=True))
        compact = isinstance(y, dict) and "matches" in y
        in_boxes = self._compares_boxes()
        if compact or in_boxes:
            anchors = self.anchors_for(ops.shape(x)[1:3])[None]  # (1, N, 4)
        if compact:
            true = dense_targets(y, self.coder, anchors, predicted["classification"].shape[-1])
        else:
            true = dict(y) if isinstance(y, dict) else dict(zip(self.output_names, y, strict=False))
        as_logits = training and self.gives_logits
        scores = predicted["classification"]  # (B, N, K), as the head gives them
        for name in [name for name in ("classification", "iou") if name in predicted]:
            predicted[name] = in_form_of(self._closures.get(name), predicted[name], as_logits)
        if in_boxes:
            self._compare_boxes(anchors, true, predicted, scores, as_logits)
        for density in self._densities.values():
            density.updating = training
        names = [name for name in self.output_names if name in true]
        y, y_pred = ([values[name] for name in names] for values in (true, predicted))
        return super().compute_loss(x, y, y_pred, sample_weight, training)

    def _compares_boxes(self):
        """Whether a loss or the selector compares decoded boxes."""
        box_loss, class_loss = map(self._closures.get, ("regression", "classification"))
        return (
            getattr(box_loss, "space", "deltas") != "deltas"
            or getattr(class_loss, "quality", False)
            or "iou" in self._closures
            or self._selector is not None
        )

    def _compare_boxes(self, anchors, true, predicted, scores, as_logits):
        """Puts in `true` and `predicted` what follows from the decoded boxes.

        The losses' own choice: boxes, or boxes and deltas, in the place of deltas, weighted by the
        highest of the scores (B, N, K), which may be logits; the IoU in the place of the labels' 1,
        and as the target of the output iou; and only the anchors that the selector chooses.
        """
        box_loss, class_loss = map(self._closures.get, ("regression", "classification"))
        deltas, weight = split(ops.convert_to_tensor(true["regression"]))  # (B, N, 4), (B, N)
        labels, state = split(ops.convert_to_tensor(true["classification"]))  # (B, N, K), (B, N)
        raw = predicted["regression"]  # (B, N, V)
        matched, decoded = (self.coder.decode(anchors, v, ops) for v in (deltas, raw))  # (B, N, 4)
        overlap = ops.stop_gradient(iou(decoded, matched, ops))[..., None]  # (B, N, 1)
        if "iou" in predicted:
            true["iou"] = with_state(overlap, weight)
        if getattr(class_loss, "quality", False):
            labels = labels * overlap
        if self._selector:
            values = class_loss.each(with_state(labels, state), predicted["classification"])
            chosen = self._selector(values, state, decoded)  # (B, N)
            left_out = ops.where(ops.equal(state, OBJECT), float(OMITTED), float(IGNORE))
            state = ops.where(chosen, state, left_out)
        if getattr(box_loss, "by_score", False):
            scores = ACTIVATIONS[self.activation](scores) if as_logits else scores
            best = ops.stop_gradient(ops.max(scores, axis=-1))  # (B, N)
            weight = ops.where(weight > 0, best, weight)
        space = getattr(box_loss, "space", "deltas")
        if space == "boxes":
            deltas, predicted["regression"] = matched, decoded
        elif space == "both":
            deltas = ops.concatenate([matched, deltas], axis=-1)  # (B, N, 8)
            predicted["regression"] = ops.concatenate([decoded, raw], axis=-1)  # (B, N, 4 + V)
        true["regression"] = with_state(deltas, weight)
        true["classification"] = with_state(labels, state)


def checked_names(class_names):
    """The names of classes as a list; InputError unless there are some, each once."""
    names = [] if isinstance(class_names, str) else list(class_names)
    if not names or len(set(names)) < len(names):
        raise InputError(f"Expected names of classes, each once. Received: {class_names!r}.")
    return names


def _name_of(loss):
    return getattr(loss, "config", {}).get("name") or getattr(loss, "__name__", repr(loss))


def _one_value(loss):
    """`loss` as shape (1,): Keras rescales that for the replicas of a strategy, not a scalar."""

    def closure(y_true, y_pred):
        return ops.reshape(loss(y_true, y_pred), (1,))

    closure.__name__ = getattr(loss, "__name__", "loss")
    return closure
