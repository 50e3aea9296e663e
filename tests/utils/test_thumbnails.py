"""The content and the place of thumbnails."""

import base64

import cv2
import numpy as np
import pytest
from PIL import Image

from keras_retinanet.utils.thumbnails import BLUE, GROUND, HEIGHT, RED, WIDTH, Layer, thumbnail


def look(path, boxes=(), others=()):
    """The thumbnail, RGB."""
    layers = [Layer(np.array(others), BLUE, 1), Layer(np.array(boxes), RED)]
    data = thumbnail(str(path), layers, np.array(boxes))
    _, _, text = data.partition(",")
    return cv2.imdecode(np.frombuffer(base64.b64decode(text), "uint8"), 1)[..., ::-1]


@pytest.fixture
def green(tmp_path):
    """An image of 400 x 300 px with a green rectangle at (100, 120, 140, 150) on white."""
    pixels = np.full((300, 400, 3), 255, "uint8")
    pixels[120:150, 100:140] = 0, 160, 0
    Image.fromarray(pixels).save(tmp_path / "green.png")
    return tmp_path / "green.png"


def where(view, color, most=90):
    """The box around the pixels of a colour."""
    rows, columns = np.nonzero((np.abs(view.astype(int) - color) < most).all(axis=-1))
    return [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]


def test_without_boxes_the_whole_picture_is_shown(green):
    view = look(green)
    assert view.shape == (HEIGHT, WIDTH, 3)
    assert np.allclose(where(view, (0, 160, 0)), [75, 90, 105, 112.5], atol=1)  # 3/4


def test_the_view_goes_near_to_a_small_box(green):
    view = look(green, [(100, 120, 140, 150)])
    # the box is 0.1 of the image and 0.3 of the view, which is 133 x 100 px around its middle
    assert np.allclose(where(view, (214, 40, 40)), [105, 79, 195, 146], atol=2)
    inner = where(view, (0, 160, 0))
    assert np.allclose(inner, [107, 81, 193, 144], atol=2)


def test_a_view_at_the_border_stays_in_the_picture(green):
    view = look(green, [(0, 0, 20, 15)])
    assert where(view, (214, 40, 40))[:2] == [0, 0]
    assert not (np.abs(view.astype(int) - GROUND) < 4).all(axis=-1).any()


def test_boxes_outside_are_seen_on_grey(green):
    view = look(green, [(500, 100, 600, 200)])
    left = where(view, (214, 40, 40))[0]
    assert (np.abs(view[:, left - 20].astype(int) - GROUND) < 6).all()


def test_boxes_without_area_and_inverted_ones_are_seen(green):
    for box in [(50, 50, 50, 50), (150, 90, 50, 60)]:
        left, top, right, bottom = where(look(green, [box]), (214, 40, 40))
        assert right - left >= 5
        assert bottom - top >= 5


@pytest.mark.parametrize("box", [(np.nan, 0, 5, 5), (-np.inf, 0, np.inf, 5), (1e9, 0, 2e9, 5)])
def test_boxes_that_cannot_be_shown_do_no_harm(green, box):
    assert look(green, [box], [box]).shape[2] == 3


def test_small_pictures_are_enlarged(tmp_path):
    Image.new("RGB", (3, 2), "red").save(tmp_path / "tiny.png")
    assert look(tmp_path / "tiny.png").shape == (200, 300, 3)


def test_a_broken_picture_has_none(tmp_path):
    (tmp_path / "broken.png").write_text("no picture")
    assert thumbnail(str(tmp_path / "broken.png"), []) is None
