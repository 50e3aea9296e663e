"""A detector of a few thousand weights, and what it is trained on."""

from dataclasses import replace

import numpy as np
import pytest

SIDES = (64, 96)


@pytest.fixture(scope="session")
def anchors():
    """Two anchors at each place of the levels 3 and 4."""
    from keras_retinanet.utils.anchors import AnchorParameters

    return AnchorParameters([24, 48], [8, 16], [1], [1, 1.4])


@pytest.fixture(scope="session")
def build(anchors):
    """Makes a training model for two classes on the levels 3 and 4; takes options."""
    import keras

    from keras_retinanet.models.heads import detector_heads
    from keras_retinanet.models.pyramid import feature_pyramid
    from keras_retinanet.models.retinanet import training_model
    from keras_retinanet.parts import Heads, Pyramid

    def make(extra=(), **options):
        keras.utils.set_random_seed(1)
        inputs = x = keras.Input((None, None, 3))
        features = {}
        for level in range(2, 6):
            strides = 4 if level == 2 else 2
            x = keras.layers.Conv2D(6, 3, strides, padding="same", use_bias=False)(x)
            if level < 4:
                x = keras.layers.BatchNormalization(momentum=0.5, name=f"norm_{level}")(x)
            x = features[f"C{level}"] = keras.layers.ReLU()(x)
        heads = detector_heads(2, anchors.num_anchors(), 8, Heads(depth=1))
        options = {"anchors": anchors, "pyramid_levels": [3, 4], **options}
        pyramid = feature_pyramid(features, Pyramid((3, 4), 8))
        return training_model(inputs, pyramid, [*heads, *extra], options)

    return make


@pytest.fixture(scope="session")
def images():
    """Two images (2, 64, 96, 3) as `preprocess_image` would give them."""
    return np.random.default_rng(0).uniform(-1, 1, (2, *SIDES, 3)).astype("float32")


@pytest.fixture(scope="session")
def annotations():
    """Two boxes in the first image, none in the second."""
    boxes = np.array([[10, 10, 40, 36], [40, 5, 90, 60]], "float32")
    return [
        {"bboxes": boxes, "labels": np.array([0, 1])},
        {"bboxes": np.zeros((0, 4), "float32"), "labels": np.zeros(0, "int64")},
    ]


@pytest.fixture(scope="session")
def dense(anchors, images, annotations):
    """The dense targets (regression (2, N, 5), classification (2, N, 3)), of the corners coder."""
    from keras_retinanet.utils.anchors import anchor_targets_bbox, anchors_for_shape

    places = anchors_for_shape(SIDES, [3, 4], anchors)
    regression, classification = anchor_targets_bbox(places, images, annotations, num_classes=2)
    assert (regression[..., -1] == 1).sum() > 4
    assert (regression[..., -1] == -1).sum() > 4
    return regression, classification


@pytest.fixture(scope="session")
def compact(anchors, annotations):
    """The same as `dense`, as boxes (2, 3, 4), labels (2, 3) and matches (2, N)."""
    from keras_retinanet.assigners.iou import assign
    from keras_retinanet.utils.anchor_targets import inside
    from keras_retinanet.utils.anchors import anchors_for_shape

    places = anchors_for_shape(SIDES, [3, 4], anchors)
    boxes, labels = np.zeros((2, 3, 4), "float32"), np.zeros((2, 3), "int32")
    boxes[0, :2], labels[0, :2] = annotations[0]["bboxes"], annotations[0]["labels"]
    matches = np.stack([assign(places, each["bboxes"]) for each in annotations])
    matches[:, ~inside(places, SIDES[1], SIDES[0])] = -2
    return {"boxes": boxes, "labels": labels, "matches": matches.astype("int32")}


@pytest.fixture(scope="session")
def toy():
    """Makes a training model that can be calculated by hand: the levels are means of the image
    over 2ⁿ px, each head is one convolution of 3x3 whose centre alone is not 0, and there is one
    anchor of 8 strides at each place. Gives the model and {head: (kernel (3, V), bias (V,))}.
    """
    import keras

    from keras_retinanet.models.heads import detector_heads
    from keras_retinanet.models.retinanet import training_model
    from keras_retinanet.parts import Heads
    from keras_retinanet.utils.anchors import square_anchors

    def make(num_classes=2, levels=(3, 4), coder="center_size", level_scales=False, **heads):
        random = np.random.default_rng(5)
        inputs = keras.Input((None, None, 3))
        pool = keras.layers.AveragePooling2D
        pyramid = {f"P{n}": pool(2**n, name=f"P{n}")(inputs) for n in levels}
        submodels = detector_heads(num_classes, 1, 3, Heads(depth=0, **heads), coder)
        weights = {}
        for name, head in submodels:
            _, bias = head.get_weights()
            kernel = np.zeros((3, 3, 3, len(bias)), "float32")
            kernel[1, 1] = random.normal(size=(3, len(bias)))
            weights[name] = kernel[1, 1], random.normal(size=len(bias)).astype("float32")
            head.set_weights([kernel, weights[name][1]])
        options = {"pyramid_levels": levels, "anchors": square_anchors(levels, 8), "coder": coder}
        model = training_model(inputs, pyramid, submodels, options, level_scales)
        return model, weights

    return make


@pytest.fixture(scope="session")
def loss_of():
    """The loss of a model, without a step, in training or not."""
    from keras import ops

    def calculate(model, images, targets, training=False):
        outputs = model(images, training=training)
        if isinstance(targets, dict):
            targets = {name: ops.convert_to_tensor(value) for name, value in targets.items()}
        else:
            targets = tuple(ops.convert_to_tensor(value) for value in targets)
        inputs = ops.convert_to_tensor(images)
        total = model.compute_loss(inputs, targets, outputs, training=training)
        return float(ops.convert_to_numpy(total))

    return calculate


@pytest.fixture
def shallow(monkeypatch):
    """Makes the Backbone of a name whose stages have their first and last block alone, and at most
    half of their width where the network is our own: deep ones take most of a minute, and their
    depth is repetition.
    """
    from importlib import import_module

    from keras_retinanet.models import backbone

    names = ("resnet", "densenet", "efficientnet", "efficientnet_v2", "convnext")
    modules = [import_module(f"keras.src.applications.{name}") for name in names]
    resnet, densenet, efficientnet, efficientnet_v2, convnext = modules
    whole = efficientnet.EfficientNet

    def stack_v1(x, filters, blocks, stride1=2, name=None):
        x = resnet.residual_block_v1(x, filters, stride=stride1, name=f"{name}_block1")
        last = f"{name}_block{blocks}"
        return resnet.residual_block_v1(x, filters, conv_shortcut=False, name=last)

    def stack_v2(x, filters, blocks, stride1=2, name=None):
        x = resnet.residual_block_v2(x, filters, conv_shortcut=True, name=f"{name}_block1")
        return resnet.residual_block_v2(x, filters, stride=stride1, name=f"{name}_block{blocks}")

    def dense_block(x, blocks, name):
        return densenet.conv_block(x, 32, name=f"{name}_block{blocks}")

    def efficient(width, depth, *args, **kwargs):
        return whole(width, 0.1, *args, **kwargs)

    monkeypatch.setattr(resnet, "stack_residual_blocks_v1", stack_v1)
    monkeypatch.setattr(resnet, "stack_residual_blocks_v2", stack_v2)
    monkeypatch.setattr(densenet, "dense_block", dense_block)
    monkeypatch.setattr(efficientnet, "EfficientNet", efficient)
    monkeypatch.setattr(efficientnet_v2, "round_repeats", lambda repeats, depth_coefficient: 1)
    for config in convnext.MODEL_CONFIGS.values():
        monkeypatch.setitem(config, "depths", [1, 1, 1, 1])

    def make(name, **options):
        made = backbone(name, **options)
        if not getattr(made, "of_applications", True):
            spec = made.networks[name]
            spec = replace(spec, width=min(32, spec.width), blocks=(1, 1, 1, 1))
            made.networks = {name: spec}
        return made

    return make
