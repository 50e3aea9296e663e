"""RetinaNet from its parts, and its inference model."""

import inspect

import keras
import numpy as np
import pytest
from keras import ops

from keras_retinanet import coders
from keras_retinanet.errors import InputError
from keras_retinanet.layers import FilterDetections
from keras_retinanet.models import RetinaNet, backbone, convert_model
from keras_retinanet.models import retinanet as module
from keras_retinanet.models.heads import detector_heads, regression_head
from keras_retinanet.models.retinanet import retinanet, retinanet_bbox
from keras_retinanet.parts import Design, Heads, Pyramid
from keras_retinanet.utils.anchors import (
    AnchorParameters,
    anchors_for_shape,
    layer_shapes,
    make_shapes_callback,
)

pytestmark = pytest.mark.core


@pytest.fixture(scope="module")
def model(build):
    """A model of wild boxes and scores all over, none alike."""
    model = build()
    for name in ("regression", "classification"):
        head = model.get_layer(f"{name}_submodel")
        head.set_weights([np.sign(weight) * 0.2 for weight in head.get_weights()])
    return model


@pytest.fixture(scope="module")
def raw(model, images):
    """(regression, classification) of the images, as arrays."""
    return model.predict_on_batch(images)


@pytest.fixture(scope="module")
def found(model, images, within_graphs):
    """All detections of the images, and more rows than there are candidates."""
    inference = convert_model(model, score_threshold=0.0, max_detections=600, nms_threshold=0.3)
    with within_graphs():
        return inference.predict_on_batch(images)


def features(levels=(2, 3, 4, 5)):
    """An input, and its mean over each place of C2..C5: a backbone without weights."""
    inputs = keras.Input((None, None, 3))
    pools = {f"C{n}": keras.layers.AveragePooling2D(2**n, padding="same")(inputs) for n in levels}
    return inputs, pools


def test_outputs_are_named_and_ordered(model):
    assert isinstance(model, RetinaNet)
    assert model.output_names == ["regression", "classification"]
    assert [output.shape for output in model.outputs] == [(None, None, 4), (None, None, 2)]
    assert model.is_training_model
    assert model.name == "retinanet"


def test_public_names():
    for name in (
        "create_pyramid_features",
        "default_classification_model",
        "default_regression_model",
        "default_submodels",
        "retinanet",
        "retinanet_bbox",
    ):
        assert callable(getattr(module, name))


@pytest.mark.parametrize(
    ("function", "parameters"),
    [
        (
            module.retinanet,
            "inputs backbone_layers num_classes num_anchors create_pyramid_features "
            "pyramid_levels submodels name",
        ),
        (
            module.retinanet_bbox,
            "model nms class_specific_filter name anchor_params pyramid_levels nms_threshold "
            "score_threshold max_detections parallel_iterations kwargs",
        ),
        (
            module.default_classification_model,
            "num_classes num_anchors pyramid_feature_size prior_probability "
            "classification_feature_size name",
        ),
        (
            module.default_regression_model,
            "num_values num_anchors pyramid_feature_size regression_feature_size name",
        ),
        (module.default_submodels, "num_classes num_anchors"),
    ],
)
def test_signatures_of_keras_retinanet(function, parameters):
    assert list(inspect.signature(function).parameters) == parameters.split()


@pytest.mark.parametrize("name", ["resnet10_0.25", "mobilenet224_0.25"])
def test_rows_are_the_anchors_of_the_image(name):
    anchors = AnchorParameters(ratios=[1], scales=[1, 2])
    design = Design(Pyramid(width=8), Heads(depth=0), anchors)
    model = backbone(name).detector(["a"], design=design)
    for shape in ((64, 96), (32, 32), (160, 96), (800, 1344)):
        count = len(anchors_for_shape(shape, anchor_params=anchors))
        shapes = model.compute_output_shape((None, *shape, 3))
        assert shapes == [(None, count, 4), (None, count, 1)]


def test_level_2():
    anchors = AnchorParameters([16, 32, 64, 128], [4, 8, 16, 32], [1], [1])
    inputs, layers = features()
    submodels = detector_heads(3, 1, heads=Heads(depth=0))
    model = retinanet(inputs, layers, 3, pyramid_levels=[2, 3, 4, 5], submodels=submodels)
    count = 16 * 24 + 8 * 12 + 4 * 6 + 2 * 3
    assert model.compute_output_shape((None, 64, 96, 3)) == [(None, count, 4), (None, count, 3)]
    assert len(anchors_for_shape((64, 96), [2, 3, 4, 5], anchors)) == count
    assert retinanet_bbox(model, anchor_params=anchors).pyramid_levels == [2, 3, 4, 5]


def test_one_level():
    anchors = AnchorParameters([64], [32], [1], [1])
    inputs, layers = features()
    submodels = detector_heads(1, 1, heads=Heads(depth=0))
    model = retinanet(inputs, layers, 1, pyramid_levels=[5], submodels=submodels)
    assert model.output_names == ["regression", "classification"]
    inference = retinanet_bbox(model, anchor_params=anchors, max_detections=4)
    found = inference.predict_on_batch(np.zeros((1, 64, 64, 3)))
    assert found[0].shape == (1, 4, 4)


def test_the_heads_see_every_level(model, images, raw):
    # the rows of the outputs are those of the heads on P3, then P4
    for index, name in enumerate(("regression", "classification")):
        head = model.get_layer(f"{name}_submodel")
        taps = keras.Model(model.inputs[0], [model.get_layer(f"P{n}").output for n in (3, 4)])
        rows = [ops.convert_to_numpy(head(level)) for level in taps(images)]
        np.testing.assert_allclose(raw[index], np.concatenate(rows, 1), rtol=1e-3, atol=1e-5)


def test_layer_shapes(model):
    shapes = layer_shapes((65, 97, 3), model)
    assert shapes["P3"] == (None, 9, 13, 8)
    assert shapes["P4"] == (None, 5, 7, 8)
    callback = make_shapes_callback(model)
    assert [tuple(shape) for shape in callback((65, 97, 3), [3, 4])] == [(9, 13), (5, 7)]
    anchors = anchors_for_shape((65, 97), [3, 4], model.anchor_params, callback)
    assert model.compute_output_shape((None, 65, 97, 3))[0] == (None, len(anchors), 4)


def test_shapes_of_a_backbone_that_does_not_round_up():
    # MobileNet gives an image 240 px high 7 rows of C5, where ceil(240 / 32) is 8
    model = backbone("mobilenet224_0.25").retinanet(1, num_anchors=1)
    shapes = make_shapes_callback(model)((240, 320, 3), [3, 4, 5, 6, 7])
    assert [shape[0] for shape in shapes] == [30, 15, 7, 4, 2]


def test_detections(model, raw, found):
    # the same by the layers one by one: decode, clip, filter
    anchors = anchors_for_shape((64, 96), [3, 4], model.anchor_params)
    boxes = np.clip(coders.corners().decode(anchors[None], raw[0]), 0, [96, 64, 96, 64])
    layer = FilterDetections(score_threshold=0.0, max_detections=600, nms_threshold=0.3)
    expected = layer.call([boxes.astype("float32"), raw[1]])
    for result, value in zip(found, expected, strict=True):
        np.testing.assert_allclose(result, ops.convert_to_numpy(value), rtol=1e-3, atol=1e-2)


def test_unused_rows_come_last(found):
    boxes, scores, labels = found
    assert boxes.shape == (2, 600, 4)
    assert labels.dtype == "int32"
    valid = scores > 0
    for image in range(2):
        assert 10 < valid[image].sum() < 590
        assert (np.diff(scores[image]) <= 0).all()  # so valid rows come first
    assert (scores[~valid] == -1).all()
    assert (labels[~valid] == -1).all()
    assert (boxes[~valid] == -1).all()
    assert set(labels[valid].tolist()) == {0, 1}


def test_boxes_lie_inside_the_image(found):
    boxes = found[0][found[1] >= 0]
    assert (boxes >= 0).all()
    assert (boxes[:, ::2] <= 96).all()
    assert (boxes[:, 1::2] <= 64).all()
    assert (boxes == [0, 0, 96, 64]).any(axis=0).all()  # some reach each side


def test_extra_outputs_pass_through(build, images):
    extra = regression_head(3, 2, 8, Heads(depth=0), name="angle_submodel")
    model = build(extra=[("angle", extra)])
    assert model.output_names == ["regression", "classification", "angle"]
    inference = convert_model(model, score_threshold=0.0, max_detections=20)
    assert inference.output_names[:3] == ["boxes", "scores", "labels"]
    together = keras.Model(inference.inputs[0], [*inference.outputs, *model.outputs[1:]])
    *found, classification, angle = together.predict_on_batch(images)
    assert len(found) == 4
    assert found[3].shape == (2, 20, 3)
    for image in range(2):
        for row in np.flatnonzero(found[1][image] >= 0):
            score, label = found[1][image, row], found[2][image, row]
            places = np.isclose(classification[image, :, label], score, rtol=1e-5, atol=0)
            distance = np.abs(angle[image, places] - found[3][image, row]).max(axis=-1)
            assert distance.min() < 1e-5


def test_top_k(model, images, raw):
    # with three candidates a level there are at most six detections, the best of each level
    options = {"score_threshold": 0.0, "nms": False, "max_detections": 10, "top_k": 3}
    _, scores, _ = convert_model(model, **options).predict_on_batch(images)
    assert (scores >= 0).sum(axis=1).tolist() == [6, 6]
    levels = np.split(raw[1], [8 * 12 * 2], axis=1)
    best = [-np.sort(-level.reshape(2, -1))[:, :3] for level in levels]
    expected = -np.sort(-np.concatenate(best, 1))
    np.testing.assert_allclose(scores[:, :6], expected, rtol=1e-5)


@pytest.mark.parametrize("nms", ["hard", "soft_linear"])
def test_images_of_several_sizes_without_top_k(model, nms):
    inference = convert_model(model, top_k=None, nms=nms, score_threshold=0.0, max_detections=50)
    for sides in ((64, 96), (65, 97), (33, 40)):  # the graph is traced again, for any size
        boxes, scores, _ = inference.predict_on_batch(np.ones((1, *sides, 3), "float32"))
        assert (scores > 0).sum() > 10
        assert boxes[..., 2].max() <= sides[1]


def test_a_canvas_that_is_no_multiple_of_32(model):
    inference = convert_model(model, score_threshold=0.0, max_detections=600)
    boxes, scores, _ = inference.predict_on_batch(np.ones((1, 65, 97, 3), "float32"))
    assert (scores >= 0).any()
    assert boxes[..., 2].max() == 97
    assert boxes[..., 3].max() == 65


def test_clipping_after_nms(model, images, raw):
    # the same by the layers one by one: decode, filter, clip, drop what has no area
    options = {"score_threshold": 0.0, "max_detections": 600, "nms_threshold": 0.3}
    found = convert_model(model, clip="after", **options).predict_on_batch(images)
    anchors = anchors_for_shape((64, 96), [3, 4], model.anchor_params)
    boxes = coders.corners().decode(anchors[None], raw[0]).astype("float32")
    kept = FilterDetections(**options).call([boxes, raw[1]])
    boxes, scores, labels = map(ops.convert_to_numpy, kept)
    boxes = np.clip(boxes, 0, [96, 64, 96, 64])
    for image in range(2):
        sides = boxes[image, :, 2:] - boxes[image, :, :2]
        rows = np.flatnonzero((labels[image] >= 0) & (sides > 0).all(axis=1))
        assert 10 < len(rows) < 600
        np.testing.assert_allclose(found[0][image][: len(rows)], boxes[image][rows], atol=1e-2)
        np.testing.assert_allclose(found[1][image][: len(rows)], scores[image][rows], rtol=1e-5)
        assert found[2][image].tolist() == [*labels[image][rows], *[-1] * (600 - len(rows))]
    with pytest.raises(ValueError, match=r"clip 'never'; known: before, dropping, after"):
        convert_model(model, clip="never")


def test_clip_margin(build):
    assert convert_model(build(clip_margin=1)).get_layer("clipped_boxes").margin == 1


def test_without_a_model():
    anchors = AnchorParameters([32, 64], [8, 16], [1], [1])
    inputs, layers = features()
    model = retinanet_bbox(
        anchor_params=anchors,
        pyramid_levels=[3, 4],
        max_detections=7,
        inputs=inputs,
        backbone_layers=layers,
        num_classes=2,
        submodels=detector_heads(2, 1, heads=Heads(depth=0)),
    )
    assert model.name == "retinanet-bbox"
    assert model.pyramid_levels == [3, 4]
    assert [output.shape for output in model.outputs] == [(None, 7, 4), (None, 7), (None, 7)]


def test_a_model_of_other_making(model, images, anchors, found):
    # a training model that is no RetinaNet: the corners coder, and what is passed
    plain = keras.Model(model.inputs[0], list(model.outputs))
    assert plain.output_names == model.output_names
    options = {"anchor_params": anchors, "pyramid_levels": [3, 4], "score_threshold": 0.0}
    options.update(max_detections=600, nms_threshold=0.3)
    theirs = retinanet_bbox(plain, **options).predict_on_batch(images)
    for a, b in zip(theirs, found, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-3)


def test_what_is_no_training_model(model):
    inference = retinanet_bbox(model)
    with pytest.raises(InputError, match="has boxes, scores, labels"):
        retinanet_bbox(inference)


def test_anchors_that_do_not_fit_the_levels(model):
    with pytest.raises(ValueError, match=r"pyramid levels \[3, 4\]"):
        retinanet_bbox(model, anchor_params=AnchorParameters.default)
