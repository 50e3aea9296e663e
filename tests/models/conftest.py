"""A detector of a few thousand weights, and what it is trained on."""

from functools import partial

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

    from keras_retinanet.models.heads import default_submodels
    from keras_retinanet.models.pyramid import create_pyramid_features
    from keras_retinanet.models.retinanet import retinanet

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
        return retinanet(
            inputs,
            features,
            num_classes=2,
            create_pyramid_features=partial(create_pyramid_features, feature_size=8),
            submodels=[*default_submodels(2, anchors.num_anchors(), 8, 8, 1), *extra],
            **{"anchors": anchors, "pyramid_levels": [3, 4], **options},
        )

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
    from keras_retinanet.utils.anchors import anchors_for_shape, inside

    places = anchors_for_shape(SIDES, [3, 4], anchors)
    boxes, labels = np.zeros((2, 3, 4), "float32"), np.zeros((2, 3), "int32")
    boxes[0, :2], labels[0, :2] = annotations[0]["bboxes"], annotations[0]["labels"]
    matches = np.stack([assign(places, each["bboxes"]) for each in annotations])
    matches[:, ~inside(places, SIDES[1], SIDES[0])] = -2
    return {"boxes": boxes, "labels": labels, "matches": matches.astype("int32")}
