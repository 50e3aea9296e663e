"""A small data set, and how the tests write it."""

import warnings

import pytest
from PIL import Image

from keras_retinanet.preprocessing.dataset import Dataset, checked, make_record
from keras_retinanet.preprocessing.writers import WRITERS


@pytest.fixture
def source(tmp_path):
    """A folder with the images full.png and empty.jpg, 40 px wide and 20 high."""
    folder = tmp_path / "source"
    folder.mkdir()
    for name in ("full.png", "empty.jpg"):
        Image.new("RGB", (40, 20)).save(folder / name)
    return folder


@pytest.fixture
def dataset():
    """Makes a data set of records."""

    def make(*records, names=("cat", "dog"), ids=(1, 2)):
        return Dataset(list(records), list(names), list(ids))

    return make


@pytest.fixture
def data(source, dataset):
    """An image with a box to find and one to ignore, and one without boxes."""
    boxes = [(10, 5, 20.5, 15), (0.1, 0, 40, 20)]
    full = make_record(source / "full.png", "full", boxes, [1, 0], [False, True])
    return checked(dataset(full, make_record(source / "empty.jpg", "empty")))


@pytest.fixture
def write():
    """Writes a data set, whatever the format leaves out."""

    def call(kind, data, folder, *args, **kwargs):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            WRITERS[kind](data, str(folder), *args, **kwargs)

    return call


@pytest.fixture
def place():
    """The folder of the images of the set "train" in each format."""
    own = dict.fromkeys(("csv", "coco", "oid", "yolo"), "images/train")
    return {**own, "pascal": "JPEGImages", "kitti": "training/image_2"}


@pytest.fixture
def files_in():
    """Gives {path from a folder: bytes} of all files in it and below."""

    def call(folder):
        paths = (path for path in folder.rglob("*") if path.is_file())
        return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}

    return call
