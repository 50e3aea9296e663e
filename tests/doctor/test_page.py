"""The report as one HTML file."""

import base64
import re
from html.parser import HTMLParser

import cv2
import numpy as np
import pytest

from keras_retinanet.doctor.anchors import Suggestion
from keras_retinanet.doctor.checks import examine
from keras_retinanet.doctor.page import MOST_IMAGES, page
from keras_retinanet.preprocessing.dataset import Dataset, make_record
from keras_retinanet.utils.anchors import AnchorParameters

VOID = {"meta", "img"}


class Outline(HTMLParser):
    """Fails on tags that do not match; gathers tags, text, and what is asked for elsewhere."""

    def __init__(self, text):
        super().__init__()
        self.open, self.tags, self.links, self.text = [], [], [], []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.links += [value for key, value in attributes if key in ("src", "href")]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, text):
        self.text.append(text)


def pictures(text):
    """The embedded images as (H, W, 3) BGR arrays."""
    found = re.findall(r"data:image/jpeg;base64,([^\"]+)", text)
    return [cv2.imdecode(np.frombuffer(base64.b64decode(d), "uint8"), 1) for d in found]


def test_clean_data(folder):
    text = page(folder.examine(), "my data")
    outline = Outline(text)
    assert outline.tags.count("svg") == 3
    assert outline.links == []
    assert "No problems found" in outline.text
    assert "Findings" not in outline.text


def test_the_page_needs_no_other_file_and_no_script(folder):
    folder.add("train0.png", (20, 50, 20, 60))
    folder.add("train0.png", (2, 2, 34, 34))
    outline = Outline(page(folder.examine(), "my data"))
    assert not {"script", "link", "iframe"} & set(outline.tags)
    assert len(outline.links) == 2
    assert all(link.startswith("data:image/jpeg;base64,") for link in outline.links)


def test_names_are_escaped(folder):
    nasty = "<script>alert('&')</script>"
    folder.replace(",dog,", f",{nasty},")
    folder.replace(",dog,", f",{nasty},", to="val")
    folder.add("train0.png", (20, 50, 20, 60), nasty)
    folder.add("train1.png", (2, 2, 34, 34), nasty)
    outline = Outline(page(folder.examine(classes=["cat", nasty]), nasty))
    assert "script" not in outline.tags
    assert nasty in outline.text


def test_boxes_in_question_are_red(folder):
    folder.add("train0.png", (2, 2, 34, 33))
    (picture,) = pictures(page(folder.examine(), "my data"))
    blue, green, red = (picture[..., i].astype(int) for i in range(3))
    assert ((red > 150) & (green < 110) & (blue < 110)).sum() > 100
    assert picture.shape[1] == 300


def test_a_few_pictures_and_all_places(folder):
    for i in range(12):
        folder.add("train0.png", (5 + i, 50, 5 + i, 60))
    text = page(folder.examine(), "my data")
    assert len(pictures(text)) == MOST_IMAGES == 8
    assert text.count("<li>") == 12
    assert "12 places" in text


def test_pictures_that_cannot_be_read_have_none(folder):
    (folder.path / "train0.png").write_text("no picture")
    text = page(folder.examine(), "my data")
    assert pictures(text) == []
    assert "not an image" in text


def test_a_suggestion(folder):
    params = AnchorParameters([16, 32], [8, 16], [1], [1, 1.5])
    text = page(folder.examine(), "my data", Suggestion(params, [3, 4], 0.5, 0.971))
    assert "97.1% of the objects instead of 50.0%" in text
    assert "<pre>levels  3 4\nsizes   16 32\n" in text


@pytest.mark.parametrize("records", [[], [make_record("missing.png", 0)]])
def test_nothing_at_all(records):
    data = Dataset(records, [], [])
    Outline(page(examine({"train": (data, [])}), "nothing"))
