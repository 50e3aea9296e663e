"""Data sets and inputs of generators, of today's kind and of an old script's."""

import numpy as np
import pytest

from keras_retinanet.evaluation.generators import dataset_of, detect_generator, input_of
from keras_retinanet.preprocessing.generator import Generator


class Old(Generator):
    """Two images of 40 x 30 px, the first with a box, as an old script would give them."""

    reads = 0

    def size(self):
        return 2

    def num_classes(self):
        return 2

    def load_image(self, image_index):
        self.reads += 1
        return np.full((30, 40, 3), (10, 20, 30), "uint8")

    def image_path(self, image_index):
        return f"{image_index}.png"

    def load_annotations(self, image_index):
        boxes = np.array([[1.0, 2, 3, 4]])[: 1 - image_index]
        return {"labels": np.ones(len(boxes)), "bboxes": boxes}


class Seeing:
    """A model that keeps what it sees, and finds nothing."""

    def predict_on_batch(self, images):
        self.seen = images
        rows = len(images), 1
        return np.full((*rows, 4), -1.0), np.full(rows, -1.0), np.full(rows, -1)


def test_data_set_is_made_of_the_methods_of_an_old_generator():
    generator = Old(group_method="none")
    dataset = dataset_of(generator)
    assert dataset.class_names == ["0", "1"]
    assert dataset.category_ids == [1, 2]
    assert dataset.records[0].boxes.tolist() == [[1, 2, 3, 4]]
    assert dataset.records[0].labels.dtype == np.int64
    assert dataset.records[1].boxes.shape == (0, 4)
    assert generator.reads == 0


def test_every_image_is_read_once_and_prepared_by_the_generator():
    generator = Old(group_method="none", no_resize=True, batch_size=2)
    model = Seeing()
    _, detections, seconds = detect_generator(generator, model)
    assert generator.reads == 2
    assert (len(detections), seconds) == (2, 0)
    assert model.seen.shape == (2, 32, 64, 3)
    assert model.seen.dtype == np.float32
    # BGR less the mean of ImageNet, as `preprocess_image` makes it
    np.testing.assert_allclose(model.seen[0, 0, 0], [10 - 103.939, 20 - 116.779, 30 - 123.68])
    assert not model.seen[:, 30:].any()
    model = Seeing()
    detect_generator(Old(group_method="none", no_resize=True, preprocess_image=None), model)
    assert model.seen[0, 0, 0].tolist() == [30, 20, 10]


def test_input_has_the_sides_of_the_generator():
    inputs = input_of(Old(group_method="none", image_min_side=48, image_max_side=64))
    assert (inputs.min_side, inputs.max_side) == (48, 64)
    assert input_of(Old(group_method="none", no_resize=True)).min_side is None


def test_anchors_targets_and_transforms_are_not_touched(monkeypatch):
    def fail(*_, **__):
        pytest.fail("evaluation made anchors or augmented an image")

    generator = Old(group_method="none", no_resize=True)
    for name in ("generate_anchors", "compute_targets", "random_transform_group"):
        monkeypatch.setattr(generator, name, fail)
    detect_generator(generator, Seeing())
