"""Anchors of an image and their targets, by hand."""

import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import ops

from keras_retinanet.utils.anchor_targets import inside
from keras_retinanet.utils.anchors import (
    AnchorParameters,
    anchor_targets_bbox,
    anchors_for_shape,
    bbox_transform,
    compute_gt_annotations,
    generate_anchors,
    grid,
    guess_shapes,
    shift,
)

pytestmark = pytest.mark.core

ONE = AnchorParameters([16], [8], [1], [1])  # one 16 px square at each place, 8 px apart


def annotations(boxes=(), labels=(), **more):
    boxes = np.array(boxes, "float32").reshape(-1, 4)
    return {"bboxes": boxes, "labels": np.array(labels, "int64"), **more}


def image(height, width):
    return np.zeros((height, width, 3), "uint8")


def test_default_parameters():
    default = AnchorParameters.default
    assert default.num_anchors() == 9
    assert default.sizes == [32, 64, 128, 256, 512]
    assert default.strides == [8, 16, 32, 64, 128]
    np.testing.assert_allclose(default.ratios, [0.5, 1, 2])
    np.testing.assert_allclose(default.scales, [1, 2 ** (1 / 3), 2 ** (2 / 3)], rtol=1e-6)


def test_parameters_round_trip():
    values = [10.5, 20], [4, 8], np.array([0.5, 2]), (1, 1.3, 1.7)
    params = AnchorParameters(*values, offset=0.25, rounded=True, fitted_strides=True)
    again = AnchorParameters(**params.get_config())
    assert again.get_config() == params.get_config()
    assert again.num_anchors() == 6
    assert json.loads(json.dumps(params.get_config())) == params.get_config()


def test_parameters_of_different_lengths():
    with pytest.raises(ValueError, match="as many anchor strides as sizes"):
        AnchorParameters([32, 64], [8], [1], [1])


def test_generate_anchors_by_hand():
    # size 32: ratio 1 is 32 x 32; ratio 4 is 32/2 wide and 32·2 high; scale 2 doubles both;
    # ratio stands before scale
    expected = [
        [-16, -16, 16, 16],
        [-32, -32, 32, 32],
        [-8, -32, 8, 32],
        [-16, -64, 16, 64],
    ]
    anchors = generate_anchors(32, ratios=[1, 4], scales=[1, 2])
    assert anchors.dtype == "float32"
    np.testing.assert_allclose(anchors, expected, rtol=1e-6)


@given(st.floats(4, 512), st.floats(0.1, 10), st.floats(0.5, 4))
def test_the_ratio_keeps_the_area(size, ratio, scale):
    x1, y1, x2, y2 = generate_anchors(size, [ratio], [scale])[0].astype("float64")
    assert math.isclose((x2 - x1) * (y2 - y1), (size * scale) ** 2, rel_tol=1e-4)
    assert math.isclose((y2 - y1) / (x2 - x1), ratio, rel_tol=1e-4)
    assert x1 == -x2
    assert y1 == -y2


def test_default_generate_anchors():
    assert generate_anchors().shape == (9, 4)
    np.testing.assert_allclose(generate_anchors()[3], [-8, -8, 8, 8])


def test_shift_by_hand():
    # 2 rows and 3 columns of stride 10: centres at 5, 15, 25 across, then the next row
    places = shift((2, 3), 10, np.array([[-1, -2, 1, 2], [0, 0, 1, 1]], "float32"))
    centres = [(5, 5), (15, 5), (25, 5), (5, 15), (15, 15), (25, 15)]
    expected = [
        anchor
        for x, y in centres
        for anchor in ([x - 1, y - 2, x + 1, y + 2], [x, y, x + 1, y + 1])
    ]
    assert places.dtype == "float32"
    np.testing.assert_array_equal(places, expected)


def test_shift_agrees_on_tensors():
    base = generate_anchors(24)
    ours = shift((3, 5), 16, base)
    np.testing.assert_array_equal(ops.convert_to_numpy(shift((3, 5), 16, base, ops)), ours)


def test_shift_with_a_stride_for_each_axis():
    # centres at 0 and 5 down, 0, 7 and 14 across
    places = shift((2, 3), (5, 7), np.array([[-1, -2, 1, 2]], "float32"), offset=0)
    expected = [[x - 1, y - 2, x + 1, y + 2] for y in (0, 5) for x in (0, 7, 14)]
    np.testing.assert_array_equal(places, expected)


@pytest.mark.parametrize("offset", [0, 0.5])
def test_detectron2_and_mmdetection_by_hand(offset):
    # both centre anchors at (i + offset) · stride, Detectron2 by its option, MMDetection at 0;
    # sizes 32 · 2^(1/3) = 40.317 are not rounded. Level 3 of 16 x 24 px: 2 rows, 3 columns
    params = AnchorParameters([32], [8], [0.5, 1, 2], [1, 2 ** (1 / 3)], offset=offset)
    anchors = anchors_for_shape((16, 24), [3], params)
    expected = []
    for y, x in [(row, column) for row in range(2) for column in range(3)]:
        for ratio in (0.5, 1, 2):
            for size in (32, 40.3174736):
                w, h = size / ratio**0.5 / 2, size * ratio**0.5 / 2
                cx, cy = (x + offset) * 8, (y + offset) * 8
                expected.append([cx - w, cy - h, cx + w, cy + h])
    np.testing.assert_allclose(anchors, expected, rtol=1e-6, atol=1e-5)


TORCHVISION = AnchorParameters(offset=0.0, rounded=True, fitted_strides=True)


def test_rounded_anchors_by_hand():
    # int(32 · 2^(2/3) = 50.8) = 50; at ratio 2 it is 50 / √2 = 35.36 wide, 50 · √2 = 70.71 high,
    # so the corners about the centre are round(17.68) = 18 and round(35.36) = 35
    anchors = generate_anchors(32, [2], [2 ** (2 / 3)], rounded=True)
    np.testing.assert_array_equal(anchors, [[-18, -35, 18, 35]])


def test_fitted_strides_by_hand():
    # 800 x 1344 px has 13 x 21 places on level 6 and 7 x 11 on level 7: 800 // 13 = 61,
    # 1344 // 21 = 64, 800 // 7 = 114 and 1344 // 11 = 122
    places = grid((800, 1344), None, TORCHVISION)
    assert places.strides.tolist() == [[8, 8], [16, 16], [32, 32], [64, 61], [122, 114]]


@pytest.mark.core
@pytest.mark.parametrize("size", [(256, 320), (800, 1088), (800, 1344), (544, 992), (32, 1344)])
def test_torchvision_has_the_same_anchors(torchvision, size):
    import torch
    from torchvision.models.detection.anchor_utils import AnchorGenerator
    from torchvision.models.detection.image_list import ImageList

    steps = (1, 2 ** (1 / 3), 2 ** (2 / 3))
    sizes = tuple(tuple(int(side * step) for step in steps) for side in (32, 64, 128, 256, 512))
    theirs = AnchorGenerator(sizes, ((0.5, 1.0, 2.0),) * 5)
    features = [torch.zeros(1, 1, *shape) for shape in guess_shapes(size, [3, 4, 5, 6, 7])]
    [expected] = theirs(ImageList(torch.zeros(1, 3, *size), [size]), features)
    np.testing.assert_array_equal(anchors_for_shape(size, anchor_params=TORCHVISION), expected)


def test_order_of_an_image():
    # 16 x 24 px: level 3 has 2 rows and 3 columns, level 4 has 1 and 2; two ratios, two scales
    params = AnchorParameters([8, 16], [8, 16], [1, 4], [1, 2])
    anchors = anchors_for_shape((16, 24, 3), [3, 4], params)
    assert anchors.shape == ((2 * 3 + 1 * 2) * 4, 4)
    assert anchors.dtype == "float32"
    expected = []
    for size, rows, columns in ((8, 2, 3), (16, 1, 2)):
        for row in range(rows):
            for column in range(columns):
                x, y = (column + 0.5) * size, (row + 0.5) * size
                for ratio in (1, 4):
                    for scale in (1, 2):
                        w, h = size * scale / ratio**0.5 / 2, size * scale * ratio**0.5 / 2
                        expected.append([x - w, y - h, x + w, y + h])
    np.testing.assert_allclose(anchors, expected, rtol=1e-6)


def test_count_of_the_usual_image():
    # 800 x 1344: 100·168 + 50·84 + 25·42 + 13·21 + 7·11 = 22,400 places, 9 anchors each
    assert anchors_for_shape((800, 1344)).shape == (201_600, 4)


def test_guess_shapes_rounds_up():
    assert guess_shapes((200, 333, 3), [3, 5, 7]) == [[25, 42], [7, 11], [2, 3]]


def test_shapes_callback():
    def callback(image_shape, pyramid_levels):
        assert (tuple(image_shape), list(pyramid_levels)) == ((50, 60), [4])
        return [(1, 2)]

    params = AnchorParameters([16], [16], [1], [1])
    assert anchors_for_shape((50, 60), [4], params, callback).shape == (2, 4)


def test_a_grid_is_what_its_anchors_stand_on():
    params = AnchorParameters([10, 20], [8, 16], [1, 4], [1])
    places = grid((16, 40), [3, 4], params, lambda *_: [(2, 5), (1, 2)])
    assert places.counts() == [20, 4]  # two anchors at 10 and at 2 places
    assert grid((16, 40), [3, 4], params).counts() == [20, 6]  # 40 / 16 rounded up is 3
    np.testing.assert_allclose(places.sizes, [[[10, 10], [5, 20]], [[20, 20], [10, 40]]])
    np.testing.assert_array_equal(places.anchors[:2], places.base[0] + 4)  # centred at (4, 4)
    first, second = places.views(places.anchors[:, 0])
    assert (first.shape, second.shape) == ((2, 5, 2), (1, 2, 2))
    assert second[0, 1, 0] == 24 - 10  # the second column's centre less half of 20
    assert places.anchors is places.anchors


def test_views_of_a_grid_write_through():
    places = grid((16, 24), [3, 4], AnchorParameters([8, 16], [8, 16], [1], [1]))
    values = np.zeros(8)
    places.views(values)[1][0, 1, 0] = 5
    assert values.tolist() == [0] * 7 + [5]  # six places on level 3, then two


def test_levels_and_parameters_that_do_not_fit():
    with pytest.raises(ValueError, match=r"pyramid levels \[3, 4\]"):
        anchors_for_shape((64, 64), [3, 4], AnchorParameters.default)


@pytest.mark.parametrize("params", [AnchorParameters.default, TORCHVISION])
def test_anchors_agree_on_tensors(params):
    ours = anchors_for_shape((70, 101), anchor_params=params)
    theirs = ops.convert_to_numpy(anchors_for_shape((70, 101), anchor_params=params, xp=ops))
    np.testing.assert_array_equal(theirs, ours)
    np.testing.assert_array_equal(grid((70, 101), None, params).anchors, ours)


def test_compute_gt_annotations():
    # IoU with the box: 1, 0.5 exactly, 0.45, 0.4 exactly, 0
    anchors = np.array([[0, 0, w, 10] for w in (10, 5, 4.5, 4)] + [[50, 50, 60, 60]], "float32")
    boxes = np.array([[90, 90, 99, 99, 7], [0, 0, 10, 10, 7]], "float32")  # a label behind
    positive, ignore, row = compute_gt_annotations(anchors, boxes)
    assert positive.tolist() == [True, True, False, False, False]
    assert ignore.tolist() == [False, False, True, False, False]
    assert row[:4].tolist() == [1, 1, 1, 1]


def test_compute_gt_annotations_of_other_thresholds():
    anchors = np.array([[0, 0, 5, 10]], "float32")
    boxes = np.array([[0, 0, 10, 10]], "float32")
    positive, ignore, _ = compute_gt_annotations(anchors, boxes, 0.5, 0.6)
    assert (positive.tolist(), ignore.tolist()) == ([False], [False])
    positive, ignore, _ = compute_gt_annotations(anchors, boxes, 0.4, 0.6)
    assert (positive.tolist(), ignore.tolist()) == ([False], [True])


def test_inside():
    # centres at (4, 4), (12, 4) and (4, 12): an image of 12 x 12 px ends before 12
    anchors = np.array([[0, 0, 8, 8], [8, 0, 16, 8], [0, 8, 8, 16]], "float32")
    assert inside(anchors, 12, 12).tolist() == [True, False, False]
    assert inside(anchors, 13, 13).tolist() == [True, True, True]


def test_bbox_transform():
    # by hand as in the coders: 4 / 20 / 0.2, -1 / 10 / 0.2, 0, 5 / 10 / 0.2
    anchor, box = np.array([[0, 0, 20, 10]], "float32"), np.array([[4, -1, 20, 15]], "float32")
    np.testing.assert_allclose(bbox_transform(anchor, box), [[1, -0.5, 0, 2.5]], rtol=1e-6)
    plain = bbox_transform(anchor, box, mean=[0.1, 0, 0, 0], std=np.ones(4))
    np.testing.assert_allclose(plain, [[0.1, -0.1, 0, 0.5]], rtol=1e-6)
    for wrong in ({"mean": 3}, {"std": "0.2"}):
        with pytest.raises(ValueError, match="list, tuple or array"):
            bbox_transform(anchor, box, **wrong)


def test_targets_by_hand():
    # 16 x 24 px, 16 px squares about (4, 4), (12, 4), (20, 4), (4, 12), ...: the box is the
    # second anchor moved 2 px right, so IoU 14·16 / (2·256 - 224) = 0.78 with it, and with its
    # neighbours at most 10·16 / 352 = 0.45 (ignored) and 8·14 / 400 (background)
    anchors = anchors_for_shape((16, 24), [3], ONE)
    box = [6, -4, 22, 12]
    regression, labels = anchor_targets_bbox(
        anchors, [image(16, 24)], [annotations([box], [2])], num_classes=3
    )
    assert regression.shape == (1, 6, 5)
    assert labels.shape == (1, 6, 4)
    assert regression.dtype == labels.dtype == "float32"
    assert labels[0, 1].tolist() == [0, 0, 1, 1]
    # each corner moves 2 / 16 of the width, over 0.2
    np.testing.assert_allclose(regression[0, 1], [0.625, 0, 0.625, 0, 1], rtol=1e-6)
    assert labels[0, :, -1].tolist() == [0, 1, -1, 0, 0, 0]
    assert not labels[0, [0, 2, 3, 4, 5], :-1].any()
    np.testing.assert_array_equal(regression[..., -1], labels[..., -1])


def test_targets_follow_the_coder():
    anchors = anchors_for_shape((16, 24), [3], ONE)
    group = [image(16, 24)], [annotations([[6, -4, 22, 12]], [0])]
    regression, _ = anchor_targets_bbox(anchors, *group, 1, coder="center_size")
    np.testing.assert_allclose(regression[0, 1], [2 / 16, 0, 0, 0, 1], atol=1e-6)


def test_padding_is_ignored():
    # the second image is 8 x 16 px in the same canvas: anchors about (20, .) and (., 12) are out,
    # even where they match a box
    anchors = anchors_for_shape((16, 24), [3], ONE)
    group = [image(16, 24), image(8, 16)]
    both = [annotations([[12, -4, 28, 12]], [0])] * 2
    regression, labels = anchor_targets_bbox(anchors, group, both, num_classes=1)
    assert labels[0, :, -1].tolist() == [0, 0, 1, 0, 0, 0]
    assert labels[1, :, -1].tolist() == [0, 0, -1, -1, -1, -1]
    assert not labels[1, :, :-1].any()
    assert not regression[1, :, :4].any()


def test_half_empty_batch():
    anchors = anchors_for_shape((16, 24), [3], ONE)
    group = [annotations(), annotations([[-4, -4, 12, 12]], [1])]
    regression, labels = anchor_targets_bbox(anchors, [image(16, 24)] * 2, group, num_classes=2)
    assert not labels[0].any()
    assert not regression[0].any()
    assert labels[1, 0].tolist() == [0, 1, 1]


def test_ignored_boxes():
    anchors = anchors_for_shape((16, 24), [3], ONE)
    boxes = [[-4, -4, 12, 12], [12, 4, 28, 20]]
    group = [annotations(boxes, [0, 0], ignore=np.array([True, False]))]
    _, labels = anchor_targets_bbox(anchors, [image(16, 24)], group, num_classes=1)
    assert labels[0, :, -1].tolist() == [-1, 0, 0, 0, 0, 1]


def test_thresholds_of_targets():
    # IoU of the second anchor with the box is 0.78: see above
    anchors = anchors_for_shape((16, 24), [3], ONE)
    group = [image(16, 24)], [annotations([[6, -4, 22, 12]], [0])]
    _, labels = anchor_targets_bbox(anchors, *group, 1, negative_overlap=0.5, positive_overlap=0.8)
    assert labels[0, :, -1].tolist() == [0, -1, 0, 0, 0, 0]


def test_targets_refuse_what_does_not_fit():
    anchors = anchors_for_shape((16, 24), [3], ONE)
    with pytest.raises(ValueError, match="1 images and 2 annotations"):
        anchor_targets_bbox(anchors, [image(16, 24)], [annotations()] * 2, 1)
    with pytest.raises(ValueError, match="at least one image"):
        anchor_targets_bbox(anchors, [], [], 1)
    with pytest.raises(ValueError, match="labels"):
        anchor_targets_bbox(anchors, [image(16, 24)], [{"bboxes": np.zeros((0, 4))}], 1)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(0, 6))
def test_targets_decode_to_the_boxes(seed, count):
    # what the encoded targets of the objects decode to are boxes of the annotations, of the class
    from keras_retinanet import coders

    random = np.random.default_rng(seed)
    low = random.uniform(0, 60, (count, 2))
    boxes = np.concatenate([low, low + random.uniform(10, 60, (count, 2))], 1).astype("float32")
    classes = random.integers(0, 4, count)
    params = AnchorParameters([24, 48], [8, 16], [0.5, 1, 2], [1, 1.5])
    anchors = anchors_for_shape((96, 128), [3, 4], params)
    group = [annotations(boxes, classes)]
    regression, labels = anchor_targets_bbox(anchors, [image(96, 128)], group, num_classes=4)
    objects = labels[0, :, -1] == 1
    decoded = coders.corners().decode(anchors[objects], regression[0, objects, :4])
    np.testing.assert_array_equal(labels[0, objects, :4].sum(-1), 1)
    for box, label in zip(decoded, labels[0, objects, :4].argmax(-1), strict=True):
        assert np.abs(boxes[classes == label] - box).max(axis=1).min() < 1e-3
