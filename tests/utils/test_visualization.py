import itertools

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from keras_retinanet.utils import visualization as v
from keras_retinanet.utils.colors import label_color

COLOR = (10, 200, 30)


def blank(height=60, width=80, value=0):
    return np.full((height, width, 3), value, "uint8")


def shows(image, color):
    return (image == np.array(color)).all(axis=-1).any()


def drawn_bounds(image):
    """The bounds xyxy of what was drawn on a black image."""
    ys, xs = np.nonzero(image.any(axis=-1))
    return [xs.min(), ys.min(), xs.max() + 1, ys.max() + 1]


@pytest.mark.parametrize("thickness", [1, 2, 3])
def test_outline_covers_the_rim_of_the_box_and_nothing_else(thickness):
    image = blank()
    v.draw_box(image, np.array([10, 20, 31, 45], "float32"), COLOR, thickness)
    expected = blank()
    expected[20:45, 10:31] = COLOR
    expected[20 + thickness : 45 - thickness, 10 + thickness : 31 - thickness] = 0
    assert_array_equal(image, expected)


def test_coordinates_are_rounded():
    image, expected = blank(), blank()
    v.draw_box(image, [9.6, 20.4, 30.6, 45.4], COLOR)
    v.draw_box(expected, [10, 20, 31, 45], COLOR)
    assert_array_equal(image, expected)


def test_boxes_off_the_image_draw_what_is_on_it():
    image = blank()
    v.draw_boxes(image, [[-20, -20, 40, 30], [1e9, 1e9, 2e9, 2e9], [5, 5, 5, 9]], COLOR, 1)
    expected = blank()
    expected[29, :40] = expected[:30, 39] = COLOR
    assert_array_equal(image, expected)


def test_a_box_thinner_than_its_outline_is_filled():
    image = blank()
    v.draw_box(image, [10, 10, 13, 30], COLOR, thickness=5)
    assert (image[10:30, 10:13] == COLOR).all()
    assert drawn_bounds(image) == [10, 10, 13, 30]


def test_no_boxes_draw_nothing():
    image = blank()
    v.draw_boxes(image, np.zeros((0, 4)), COLOR)
    v.draw_detections(image, np.zeros((0, 4)), np.zeros(0), np.zeros(0, int))
    v.draw_annotations(image, {"bboxes": np.zeros((0, 4)), "labels": np.zeros(0)})
    v.draw_annotations(image, np.zeros((0, 5)))
    v.draw_caption(image, [0, 20, 30, 40], "")
    assert not image.any()


def test_caption_stands_above_its_box_and_within_the_picture():
    image = blank(100, 200)
    v.draw_caption(image, [20, 50, 60, 90], "cat", COLOR)
    x1, y1, x2, y2 = drawn_bounds(image)
    assert (x1, y2) == (20, 50)
    width, height = x2 - x1, y2 - y1
    for box, place in {
        (20, 5, 60, 90): (20, 0),  # pushed in from the top
        (190, 50, 260, 90): (200 - width, 50 - height),  # from the right
        (-30, 50, 60, 90): (0, 50 - height),  # from the left
        (20, 300, 60, 400): (20, 100 - height),  # from below
    }.items():
        image = blank(100, 200)
        v.draw_caption(image, box, "cat", COLOR)
        assert drawn_bounds(image) == [*place, place[0] + width, place[1] + height]


@pytest.mark.parametrize("color", [(0, 0, 0), (255, 255, 255), (250, 220, 0), (90, 0, 160)])
@pytest.mark.parametrize("ground", [0, 128, 255])
def test_caption_can_be_read_on_any_ground(color, ground):
    image = blank(100, 200, ground)
    v.draw_caption(image, [20, 50, 60, 90], "cat", color)
    strip = image[strip_of("cat", image, 20, 50)].astype(int)
    assert (np.abs(strip - color).sum(axis=-1) == 0).mean() > 0.4  # the strip's own colour
    assert np.abs(strip.mean(axis=-1) - np.mean(color)).max() > 100  # and ink that differs


def strip_of(text, image, left, bottom):
    height, width = v.text_mask(text, v.font_size(image)).shape
    return np.s_[bottom - height : bottom, left : left + width]


def test_captions_longer_than_the_picture_are_cut():
    image = blank(40, 30)
    v.draw_caption(image, [5, 20, 20, 30], "a name much longer than the picture is wide", COLOR)
    assert drawn_bounds(image)[0::2] == [0, 30]
    tiny = blank(3, 3)
    v.draw_caption(tiny, [0, 0, 3, 3], "cat", COLOR)
    assert tiny.any()


def test_captions_of_any_language_and_kind_are_drawn():
    for caption in ("Bär", "猫", "two\nlines", 7):
        image = blank(100, 300)
        v.draw_caption(image, [20, 50, 60, 90], caption, COLOR)
        assert shows(image, COLOR)


def test_captions_grow_with_the_picture():
    assert v.font_size(blank(200, 200)) < v.font_size(blank(800, 1333)) < 40


def test_detections_below_the_threshold_and_padding_are_left_out():
    boxes = [[5, 40, 15, 50], [25, 40, 35, 50], [45, 40, 55, 50], [65, 40, 75, 50]]
    scores, labels = [0.9, 0.3, -1, np.nan], [0, 0, -1, 0]
    image = blank()
    v.draw_detections(image, boxes, scores, labels, color=COLOR, score_threshold=0.3)
    rim = [tuple(image[49, x]) for x in (10, 30, 50, 70)]
    assert rim == [COLOR, COLOR, (0, 0, 0), (0, 0, 0)]
    image = blank()
    v.draw_detections(image, boxes, scores, labels, color=COLOR)  # 0.5
    assert [image[49, x].any() for x in (10, 30, 50, 70)] == [True, False, False, False]
    image = blank()
    v.draw_detections(image, boxes, scores, labels, color=COLOR, score_threshold=-2)
    assert not image[49, 50].any()  # padding stays out whatever the threshold


def test_labels_have_their_colours_and_names():
    image, expected = blank(100, 200), blank(100, 200)
    boxes = [[10, 60, 60, 90], [100, 60, 150, 90]]
    v.draw_detections(image, boxes, [0.876, 0.75], [3, 5], label_to_name="n{}".format)
    for box, caption, label in zip(boxes, ["n3: 0.88", "n5: 0.75"], [3, 5], strict=True):
        v.draw_box(expected, box, label_color(label), 1)
        v.draw_caption(expected, box, caption, label_color(label))
    assert_array_equal(image, expected)


def test_annotations_as_dict_or_array_look_the_same():
    boxes, labels = np.array([[10, 60, 60, 90], [100, 60, 150, 90.0]]), np.array([3, 5])
    image, same, expected = blank(100, 200), blank(100, 200), blank(100, 200)
    v.draw_annotations(image, {"bboxes": boxes, "labels": labels})
    v.draw_annotations(same, np.column_stack([boxes, labels]))
    for box, caption in zip(boxes, "35", strict=True):
        v.draw_box(expected, box, (0, 255, 0), 1)
        v.draw_caption(expected, box, caption, (0, 255, 0))
    assert_array_equal(image, expected)
    assert_array_equal(same, expected)
    v.draw_annotations(image, {"bboxes": boxes, "labels": labels}, color=None)
    assert shows(image, label_color(3))
    assert shows(image, label_color(5))


def test_label_colours_are_valid_and_apart():
    colors = [label_color(label) for label in range(80)]
    assert all(isinstance(part, int) and 0 <= part <= 255 for part in itertools.chain(*colors))
    assert len(set(colors)) == 80
    first = np.array(colors[:20])
    apart = np.abs(first[:, None] - first).sum(axis=-1) + 999 * np.eye(20)
    assert apart.min() >= 60
    assert label_color(np.int64(7)) == label_color(7)
    assert len(label_color(10**9)) == 3


def test_label_colours_start_at_zero():
    with pytest.raises(ValueError, match="-1"):
        label_color(-1)
