"""Fixtures of the tests of the commands: errors as a user sees them, and folders of data."""

import csv
import json
import os
import shutil
import sys

import keras
import pytest
from PIL import Image

from keras_retinanet.bin import cli, train


@pytest.fixture(autouse=True)
def leave(monkeypatch):
    """A command that is stopped ends with SystemExit, and the tests go on."""
    monkeypatch.setattr(cli, "leave", sys.exit)


@pytest.fixture(scope="session")
def data(sample):
    """The sample's arguments, without the held-out part."""
    return ["csv", str(sample / "train.csv"), str(sample / "classes.csv")]


@pytest.fixture(scope="session")
def held_out(data, sample):
    return [*data, "--val-annotations", str(sample / "val.csv")]


def started(args):
    """The arguments, from scratch where they do not say what to start from."""
    args = [str(arg) for arg in args]
    starts = {"--snapshot", "--weights", "--imagenet-weights"}
    return args if starts & set(args) else ["--no-weights", *args]


@pytest.fixture
def train_tiny(tiny):
    """Trains a tiny model."""
    return lambda *args: train.main([*tiny, *started(args)])


@pytest.fixture
def fit(train_tiny, tmp_path):
    """Trains a tiny model, and gives the folder of its snapshots."""

    def fit(*args, run="snapshots"):
        train_tiny("--snapshot-path", tmp_path, "--run", run, *args)
        return tmp_path / run

    return fit


@pytest.fixture
def refuse_training(refuse, tiny, tmp_path):
    """A training that must end with one sentence."""

    def run(*args):
        quick = ["--epochs", "1", "--steps", "1", "--augmentation", "light"]
        folder = tmp_path / "snapshots"
        return refuse(
            train.main,
            *tiny,
            "--snapshot-path",
            folder.parent,
            "--run",
            folder.name,
            *quick,
            *started(args),
        )

    return run


@pytest.fixture(scope="session")
def loaded():
    """The models that `load_once` has loaded, by file."""
    return {}


@pytest.fixture
def load_once(monkeypatch, loaded):
    """Commands that leave models as they are load each file once in all tests."""
    from keras_retinanet import models

    load_model = models.load_model

    def load(path, *args, **kwargs):
        key = str(path), os.stat(path).st_mtime_ns
        if key not in loaded:
            loaded[key] = load_model(path, *args, **kwargs)
        return loaded[key]

    monkeypatch.setattr(models, "load_model", load)


def rows_of(path):
    """{image: [(class, box)]} of a CSV file."""
    images = {}
    with open(path, newline="") as file:
        for image, *box, name in csv.reader(file):
            rows = images.setdefault(image, [])
            if name:
                rows.append((name, [int(value) for value in box]))
    return images


@pytest.fixture(scope="session")
def coco_folder(sample, tmp_path_factory):
    """The sample in COCO's layout, sets train2017 and val2017; category ids have gaps and
    run against the labels."""
    folder = tmp_path_factory.mktemp("coco")
    (folder / "annotations").mkdir()
    with open(sample / "classes.csv", newline="") as file:
        ids = {name: 90 - 10 * int(label) for name, label in csv.reader(file)}
    for split in ("train", "val"):
        images, annotations = [], []
        for number, (path, rows) in enumerate(rows_of(sample / f"{split}.csv").items(), start=1):
            images.append({"id": number, "file_name": path.split("/")[-1]})
            for name, (x1, y1, x2, y2) in rows:
                row = {"id": len(annotations) + 1, "image_id": number, "category_id": ids[name]}
                annotations.append({**row, "bbox": [x1, y1, x2 - x1, y2 - y1]})
        categories = [{"id": i, "name": name} for name, i in ids.items()]
        content = {"images": images, "annotations": annotations, "categories": categories}
        path = folder / "annotations" / f"instances_{split}2017.json"
        path.write_text(json.dumps(content))
        shutil.copytree(sample / "images" / split, folder / "images" / f"{split}2017")
    return folder


@pytest.fixture(scope="session")
def pascal_folder(sample, tmp_path_factory):
    """The sample in Pascal VOC's layout, sets train, val and test (the same as val)."""
    folder = tmp_path_factory.mktemp("voc")
    for name in ("Annotations", "ImageSets/Main", "JPEGImages"):
        (folder / name).mkdir(parents=True)
    for split in ("train", "val"):
        ids = []
        for path, rows in rows_of(sample / f"{split}.csv").items():
            ids.append(f"{split}_{path.split('/')[-1].removesuffix('.jpg')}")
            objects = "".join(
                f"<object><name>{name}</name><bndbox><xmin>{x1 + 1}</xmin><ymin>{y1 + 1}</ymin>"
                f"<xmax>{x2 + 1}</xmax><ymax>{y2 + 1}</ymax></bndbox></object>"
                for name, (x1, y1, x2, y2) in rows
            )
            (folder / "Annotations" / f"{ids[-1]}.xml").write_text(
                f"<annotation>{objects}</annotation>"
            )
            shutil.copy(sample / path, folder / "JPEGImages" / f"{ids[-1]}.jpg")
        (folder / "ImageSets" / "Main" / f"{split}.txt").write_text("\n".join(ids))
    shutil.copy(folder / "ImageSets/Main/val.txt", folder / "ImageSets/Main/test.txt")
    return folder


@pytest.fixture
def csv_data(sample, tmp_path):
    """Writes an annotation file of rows, or of text, with images of the sample as a.jpg, b.jpg
    and c.jpg beside it, and gives the arguments `csv ANNOTATIONS CLASSES`."""
    for name, picture in zip("abc", sorted((sample / "images" / "train").iterdir()), strict=False):
        shutil.copy(picture, tmp_path / f"{name}.jpg")

    def write(text, classes=None, name="boxes.csv"):
        (tmp_path / name).write_text(text)
        if classes is None:
            return ["csv", str(tmp_path / name), str(sample / "classes.csv")]
        (tmp_path / "names.csv").write_text(classes)
        return ["csv", str(tmp_path / name), str(tmp_path / "names.csv")]

    return write


@pytest.fixture
def break_picture():
    """Replaces an image by a PNG whose head and end are good and whose pixels are not."""

    def spoil(path):
        Image.effect_noise((64, 64), 90).convert("RGB").save(path, "PNG")
        data = bytearray(path.read_bytes())
        middle = len(data) // 2
        data[middle : middle + 200] = bytes(200)
        path.write_bytes(data)
        return path

    return spoil


@pytest.fixture(scope="session")
def other_keras_file(tmp_path_factory):
    """A good .keras file that holds no detector."""
    path = tmp_path_factory.mktemp("other") / "dense.keras"
    keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)]).save(path)
    return path
