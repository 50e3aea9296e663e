"""The report's folder: one page that needs no other file, its plots and the lists of labels."""

import base64
import csv
import json
import re
from html.parser import HTMLParser

import cv2
import numpy as np
import pytest
from PIL import Image

from keras_retinanet.errors import InputError
from keras_retinanet.evaluation import plots
from keras_retinanet.evaluation.advice import Step
from keras_retinanet.evaluation.coco import evaluate_coco
from keras_retinanet.evaluation.explanation import explain
from keras_retinanet.evaluation.page import Contents, class_rows, page
from keras_retinanet.evaluation.report_files import (
    FILES,
    Circumstances,
    data_fingerprint,
    write_report,
)
from keras_retinanet.evaluation.thresholds import Rule
from keras_retinanet.preprocessing.dataset import Dataset, make_record

from .cases import dataset, detection, random_case, record

CONTENTS = Contents("model", [], [], [], [])
VOID = {"meta", "img", "path", "use", "rect"}
NASTY = "<b>$x&amp;\n"
RUN = Circumstances("model on data", [Step("Do <this>.", "command --now")], [("machine", "a & b")])


class Outline(HTMLParser):
    """Fails on tags that do not match; gathers tags, their attributes, and text."""

    def __init__(self, text):
        super().__init__()
        self.open, self.tags, self.attributes, self.text = [], [], [], ""
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.attributes += [(tag, *pair) for pair in attributes]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.tags.append(tag)
        self.attributes += [(tag, *pair) for pair in attributes]

    def handle_endtag(self, tag):
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_data(self, text):
        self.text += text


def write(folder, data, found):
    pytest.importorskip("matplotlib")
    explanation = explain(data, found, evaluate_coco(data, found), Rule())
    write_report(folder, explanation, RUN)
    return explanation, (folder / "index.html").read_text()


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    """A data set of 3 images on disk and one that is missing, and detections with errors."""
    folder = tmp_path_factory.mktemp("images")
    boxes = [[10, 10, 60, 60], [100, 20, 180, 90]]
    for number in range(3):
        Image.new("RGB", (200, 150), (40, 90, 40 * number)).save(folder / f"{number}.jpg")
    paths = [folder / f"{number}.jpg" for number in range(3)] + [folder / "missing.jpg"]
    records = [
        make_record(path, number + 1, boxes, [0, 1], size=(200, 150))
        for number, path in enumerate(paths)
    ]
    found = [
        detection([boxes[0], [20, 90, 60, 130]], [0.9, 0.8], [0, 1]),
        detection(boxes, [0.9, 0.7], [0, 0]),
        detection(boxes, [0.9, 0.7], [0, 1]),
        detection(),
    ]
    return Dataset(records, ["cat", NASTY], [1, 2]), found


@pytest.fixture(scope="module")
def report(images, tmp_path_factory):
    folder = tmp_path_factory.mktemp("report")
    return folder, *write(folder, *images)


def test_all_files_are_written(report):
    folder, explanation, _ = report
    assert {path.name for path in folder.iterdir()} == set(FILES)
    rows = list(csv.DictReader((folder / "wrong_labels.csv").open()))
    assert len(rows) == 8
    assert rows[0]["kind"] in ("wrong class", "nothing found")
    assert json.loads((folder / "missing_labels.json").read_text())["images"][0]["id"] == 1
    figures = json.loads((folder / "figures.json").read_text())
    assert figures["AP"] == explanation.metrics["AP"]
    assert figures["confusion"] == explanation.confusion.tolist()
    for name in plots.NAMES:
        assert cv2.imread(str(folder / f"{name}.png")).shape[0] > 300


def test_page_needs_no_other_file_and_describes_its_images(report):
    *_, text = report
    outline = Outline(text)
    links = [value for _, key, value in outline.attributes if key in ("src", "href", "xlink:href")]
    assert all(link.startswith(("#", "data:image/jpeg;base64,")) for link in links)
    assert "http" not in re.sub(r"xmlns[:\w]*=\S+", "", text).replace("data:", "")
    assert outline.tags.count("svg") == 4
    labels = [
        value for tag, key, value in outline.attributes if (tag, key) == ("svg", "aria-label")
    ]
    assert len(set(labels)) == 4
    alts = [value for tag, key, value in outline.attributes if (tag, key) == ("img", "alt")]
    shown = outline.tags.count("img") - 1  # the enlarged one
    assert sum(bool(alt) for alt in alts) == shown > 4
    assert outline.tags.count("button") == shown + 1
    ids = [value for _, key, value in outline.attributes if key == "id"]
    assert len(set(ids)) == len(ids)


def test_text_is_escaped_and_figures_are_there(report):
    _, explanation, text = report
    outline = Outline(text)
    assert "Do <this>." in outline.text
    assert "a & b" in outline.text
    assert "b" not in outline.tags
    assert "<b>$x&amp;?" in outline.text  # a class name
    assert f"{explanation.single.threshold:g}" in outline.text
    assert "prefers-color-scheme: dark" in text
    assert "currentColor" in text
    assert plots.INK not in text.split("</style>")[1]


def test_intervals_follow_their_figures():
    data, found = random_case(0)
    metrics = evaluate_coco(data, found)
    assert "parentheses" not in page(explain(data, found, metrics, Rule()), CONTENTS)
    first, second, _ = data.class_names
    per_class = {first: {"AP": [0.25, 0.5], "AP50": [0, 1]}, second: None}
    metrics["intervals"] = {"AP": [0.125, 1], "AP50": [0.5, 0.75], "per_class": per_class}
    explanation = explain(data, found, metrics, Rule())
    assert "95% intervals are in parentheses" in page(explanation, CONTENTS)
    of_first, of_second, of_third, of_all = class_rows(explanation)[1:]
    assert of_first[2].endswith(" (0.25 to 0.50)")
    assert of_first[3].endswith(" (0.00 to 1.00)")
    assert of_all[2].endswith(" (0.12 to 1.00)")
    assert "(" not in of_second[2] + of_third[2]


def test_missing_label_is_drawn_in_red(report):
    *_, text = report
    gallery = text[text.index("Likely missing labels") : text.index("Likely wrong labels")]
    data = re.search(r"base64,([^\"]+)", gallery)[1]
    picture = cv2.imdecode(np.frombuffer(base64.b64decode(data), "uint8"), 1).astype(int)
    blue, green, red = np.moveaxis(picture, -1, 0)
    assert ((red > 170) & (green < 90) & (blue < 90)).sum() > 300


@pytest.mark.parametrize(
    ("data", "found"),
    [
        (dataset(record()), [detection()]),
        (dataset(record([[0, 0, 9, 9]])), [detection()]),
        (dataset(record(), names=("a", "b")), [detection([[0, 0, 9, 9]], [0.9])]),
    ],
)
def test_reports_of_nothing(data, found, tmp_path):
    _, text = write(tmp_path, data, found)
    Outline(text)
    assert (tmp_path / "worst_images.csv").read_text().startswith("image,missed objects")


def test_random_case_and_many_classes(tmp_path):
    data, found = random_case(0)
    many = Dataset(data.records, [f"class {i}" for i in range(40)], list(range(1, 41)))
    _, text = write(tmp_path, many, found)
    assert "The 15 most frequent classes" in Outline(text).text


def test_fingerprint_of_data(images):
    data, _ = images
    fewer = Dataset(data.records[:3], data.class_names, data.category_ids)
    assert data_fingerprint(data) != data_fingerprint(fewer)
    same = Dataset(list(data.records), list(data.class_names), data.category_ids)
    assert data_fingerprint(data) == data_fingerprint(same)


def test_matplotlib_is_named_when_missing(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"pip install 'keras-retinanet\[report\]'"):
        plots.check_installed()
