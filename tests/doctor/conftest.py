"""A small clean data set, written as CSV files, to put defects into."""

import numpy as np
import pytest
from PIL import Image

from keras_retinanet.doctor.checks import examine
from keras_retinanet.preprocessing.readers import read_csv

HEAD = "filename,width,height,class,xmin,ymin,xmax,ymax"
BOXES = {"cat": ((2, 2, 34, 34), (60, 2, 92, 34)), "dog": ((30, 30, 62, 62), (62, 32, 94, 64))}


class Folder:
    """Images train0.png to train5.png and val0.png to val2.png of 96 x 64 px, and CSV rows for
    each set, two cats and two dogs in each image: 24 and 12 boxes.
    """

    def __init__(self, path):
        self.path = path
        self.rows = {"train": [], "val": []}
        for seed in range(9):
            name, number = ("train", seed) if seed < 6 else ("val", seed - 6)
            self.draw(f"{name}{number}.png", seed)
            self.add_image(f"{name}{number}.png", name)

    def draw(self, file, seed, size=(96, 64), **options):
        """An image of noise, which no other seed gives."""
        pixels = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), "uint8")
        Image.fromarray(pixels).save(self.path / file, **options)

    def add_image(self, file, to="train", boxes=BOXES):
        for label, some in boxes.items():
            for box in some:
                self.add(file, box, label, to=to)

    def add(self, file, box, label="cat", size=(96, 64), to="train"):
        self.rows[to].append(",".join(map(str, (file, *size, label, *box))))

    def replace(self, old, new, to="train"):
        """In every row of a set."""
        self.rows[to] = [row.replace(old, new) for row in self.rows[to]]

    def read(self, classes=("cat", "dog")):
        splits = {}
        for name, rows in self.rows.items():
            path, faults = self.path / f"{name}.csv", []
            path.write_text("\n".join([HEAD, *rows, ""]))
            splits[name] = read_csv(str(path), classes, faults=faults), faults
        return splits

    def examine(self, classes=("cat", "dog"), **options):
        return examine(self.read(classes), **{"thorough": True, "sides": None, **options})


@pytest.fixture
def folder(tmp_path):
    return Folder(tmp_path)
