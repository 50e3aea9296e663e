"""From what a model gives to detections in the pixels of the original images."""

import json

import numpy as np
import pytest
from PIL import Image

from keras_retinanet.evaluation.coco import evaluate_coco
from keras_retinanet.evaluation.detections import dataset_of, detect, in_image, input_options
from keras_retinanet.evaluation.voc import evaluate_voc
from keras_retinanet.preprocessing.dataset import checked
from keras_retinanet.preprocessing.generator import Generator
from keras_retinanet.preprocessing.readers import read_coco, read_csv, read_pascal
from keras_retinanet.utils.resizing import RESIZES, Fit, resized_size, stretched

# name: (size (w, h), [(class, box)]); the sizes round when they are resized to 64 / 90
PICTURES = {
    "a": ((101, 73), [("dog", (10, 5, 60, 70)), ("cat", (0, 0, 101, 73))]),
    "b": ((73, 150), [("cat", (3, 90, 40, 149))]),
    "c": ((64, 64), []),
    "d": ((200, 60), [("dog", (120, 10, 199, 50)), ("dog", (5, 10, 45, 50))]),
}
NAMES = ["cat", "dog"]
AS_IT_IS = stretched((50, 50), (50, 50))
SIDES = {"image_min_side": 64, "image_max_side": 90}


class Perfect:
    """A model that finds every box: it knows a picture by its grey, 20 times its place."""

    def __init__(self, dataset):
        self.dataset = dataset
        self.shapes = []

    def where(self, place):
        size = self.dataset.records[place].size
        return stretched(size, resized_size(size, 64, 90))

    def predict_on_batch(self, images):
        self.shapes.append(images.shape)
        boxes = np.full((len(images), 6, 4), -1, "float32")
        scores = np.full((len(images), 6), -1, "float32")
        labels = np.full((len(images), 6), -1, "int32")
        for row, image in enumerate(images):
            place = round(image[..., 0].max() / 20)  # padding is black
            record = self.dataset.records[place]
            fit = self.where(place)
            count = len(record.boxes)
            boxes[row, :count] = record.boxes * np.tile(fit.scale, 2) + np.tile(fit.offset, 2)
            scores[row, :count] = np.linspace(0.9, 0.8, count)
            labels[row, :count] = record.labels
        return boxes, scores, labels


def pictures(folder):
    folder.mkdir(parents=True)
    for place, (name, (size, _)) in enumerate(PICTURES.items()):
        Image.new("RGB", size, (20 * place,) * 3).save(folder / f"{name}.png")


def csv_set(folder):
    pictures(folder / "images")
    rows = [
        f"images/{name}.png,{','.join(map(str, box))},{label}"
        for name, (_, boxes) in PICTURES.items()
        for label, box in boxes
    ]
    rows.insert(3, "images/c.png,,,,,")
    (folder / "boxes.csv").write_text("\n".join(rows))
    (folder / "classes.csv").write_text("dog,1\ncat,0\n")
    return read_csv(str(folder / "boxes.csv"), str(folder / "classes.csv"))


def coco_set(folder):
    pictures(folder / "images")
    annotations = [
        {
            "id": 10 * place + row,
            "image_id": place,
            "category_id": {"cat": 3, "dog": 18}[label],
            "bbox": [x1, y1, x2 - x1, y2 - y1],
        }
        for place, (_, boxes) in enumerate(PICTURES.values())
        for row, (label, (x1, y1, x2, y2)) in enumerate(boxes)
    ]
    content = {
        "images": [{"id": i, "file_name": f"{name}.png"} for i, name in enumerate(PICTURES)],
        "annotations": annotations,
        "categories": [{"id": 18, "name": "dog"}, {"id": 3, "name": "cat"}],
    }
    (folder / "instances.json").write_text(json.dumps(content))
    return read_coco(str(folder / "instances.json"), str(folder / "images"))


def pascal_set(folder):
    pictures(folder / "JPEGImages")
    (folder / "Annotations").mkdir()
    (folder / "ImageSets" / "Main").mkdir(parents=True)
    (folder / "ImageSets" / "Main" / "val.txt").write_text("\n".join(PICTURES))
    for name, (_, boxes) in PICTURES.items():
        objects = "".join(
            f"<object><name>{label}</name><bndbox><xmin>{x1 + 1}</xmin><ymin>{y1 + 1}</ymin>"
            f"<xmax>{x2 + 1}</xmax><ymax>{y2 + 1}</ymax></bndbox></object>"
            for label, (x1, y1, x2, y2) in boxes
        )
        path = folder / "Annotations" / f"{name}.xml"
        path.write_text(f"<annotation>{objects}</annotation>")
    return read_pascal(str(folder), "val")


READERS = {"csv": csv_set, "coco": coco_set, "pascal": pascal_set}


def generator(dataset, **options):
    defaults = {"group_method": "canvas", "shuffle_groups": False, "preprocess_image": None}
    return Generator(dataset, **{**defaults, **SIDES, **options})


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("batch_size", [1, 3])
def test_a_perfect_model_is_perfect(tmp_path, reader, batch_size):
    dataset = checked(READERS[reader](tmp_path))
    assert dataset.class_names == NAMES
    model = Perfect(dataset)
    detections, seconds = detect(model, generator(dataset, batch_size=batch_size))
    assert seconds >= 0
    assert {shape[0] for shape in model.shapes} == {batch_size}
    for record, found in zip(dataset.records, detections, strict=True):
        assert np.allclose(found["boxes"], record.boxes, atol=1e-3)
        assert found["labels"].tolist() == record.labels.tolist()
        assert (found["boxes"].dtype, found["scores"].dtype) == (np.float32, np.float32)
    metrics = evaluate_coco(dataset, detections)
    assert metrics["AP"] == pytest.approx(1)
    assert {name: figures["AP"] for name, figures in metrics["per_class"].items()} == {
        "cat": pytest.approx(1),
        "dog": pytest.approx(1),
    }
    assert evaluate_voc(dataset, detections) == {0: (1.0, 2), 1: (1.0, 3)}


def test_the_order_of_the_data_set_is_kept_whatever_the_groups(tmp_path):
    dataset = checked(csv_set(tmp_path))
    expected, _ = detect(Perfect(dataset), generator(dataset))
    for options in (
        {"group_method": "random", "shuffle_groups": True, "batch_size": 3},
        {"group_method": "ratio", "batch_size": 4},
        {"group_method": "none", "batch_size": 2},
    ):
        found, _ = detect(Perfect(dataset), generator(dataset, **options))
        for one, other in zip(expected, found, strict=True):
            assert np.allclose(one["boxes"], other["boxes"], atol=1e-3)


def test_thresholds_and_limits_are_handed_on(tmp_path):
    dataset = checked(csv_set(tmp_path))
    found, _ = detect(Perfect(dataset), generator(dataset), score_threshold=0.85)
    assert [len(image["scores"]) for image in found] == [1, 1, 0, 1]
    found, _ = detect(Perfect(dataset), generator(dataset), max_detections=1)
    assert [len(image["scores"]) for image in found] == [1, 1, 0, 1]


def rows(*boxes, scores=None, labels=None):
    boxes = np.array(boxes, "float32").reshape(-1, 4)
    scores = np.linspace(0.9, 0.5, len(boxes), dtype="float32") if scores is None else scores
    labels = np.zeros(len(boxes), "int32") if labels is None else labels
    return boxes, np.array(scores, "float32"), np.array(labels, "int32")


def test_each_axis_has_its_own_scale():
    # 101 x 73 px at a short side of 64: scale 64/73, width 88.547.. rounds to 89
    assert resized_size((101, 73), 64, 90) == (89, 64)
    found = in_image(*rows((8.9, 6.4, 89, 64)), size=(101, 73), fit=stretched((101, 73), (89, 64)))
    assert np.allclose(found["boxes"], [[10.1, 7.3, 101, 73]], atol=1e-4)


def test_boxes_are_clipped_to_the_image_and_not_the_canvas():
    fit = stretched((100, 120), (50, 60))
    found = in_image(*rows((-5, -5, 60, 70), (40, 40, 80, 55)), size=(100, 120), fit=fit)
    assert found["boxes"].tolist() == [[0, 0, 100, 120]]  # the other is centred at 60 of 50 px


def test_detections_centred_in_the_padding_are_dropped():
    boxes = ((40, 10, 60, 20), (41, 10, 60, 20), (10, 50, 20, 71))
    found = in_image(*rows(*boxes), size=(50, 60), fit=stretched((50, 60), (50, 60)))
    assert found["boxes"].tolist() == [[40, 10, 50, 20]]


def test_boxes_lie_off_from_where_the_image_begins():
    # an image of 20 x 10 px, three times as wide and twice as high, 4 px from the left and 7 from
    # the top of its picture; a box in the border is at the edge of the image
    fit = Fit((60, 20), (3, 2), (4, 7), (64, 40))
    found = in_image(*rows((10, 9, 40, 17), (0, 0, 2, 4)), size=(20, 10), fit=fit)
    assert found["boxes"].tolist() == [[2, 1, 12, 5], [0, 0, 0, 0]]


@pytest.mark.parametrize("resize", RESIZES)
def test_perfect_detections_come_back_by_every_rule(tmp_path, resize):
    dataset = checked(csv_set(tmp_path))
    batches = generator(dataset, resize=resize, canvases="own")

    class PerfectBy(Perfect):
        def where(self, place):
            return batches.fit_of(place)

    model = PerfectBy(dataset)
    found, _ = detect(model, batches)
    for record, detections in zip(dataset.records, found, strict=True):
        np.testing.assert_allclose(detections["boxes"], record.boxes, atol=1e-3)
    assert [shape[1:3] for shape in model.shapes] == [
        batches.fit_of(index).picture[::-1] for group in batches.groups for index in group
    ]


def test_the_input_of_a_model_is_what_it_says():
    class Known:
        normalization, preprocessing = "torch", "caffe"
        image_min_side, image_max_side, resize, canvases = 48, 64, "torchvision", "own"

    class Old(Known):
        normalization = None

    told = {"image_min_side": 48, "image_max_side": 64, "resize": "torchvision", "canvases": "own"}
    assert input_options(Known) == {**told, "preprocess_image": None}
    old = input_options(Old)
    pixel = np.array([[[0, 127.5, 255]]])  # less the mean of ImageNet, of BGR
    prepared = old.pop("preprocess_image")(pixel)
    np.testing.assert_allclose(prepared, [[[-103.939, 10.721, 131.32]]], rtol=1e-6)
    assert old == told


def test_padding_rows_are_dropped():
    boxes, scores, labels = rows((0, 0, 9, 9), (-1, -1, -1, -1), scores=[0.9, -1], labels=[2, -1])
    found = in_image(boxes, scores, labels, (50, 50), AS_IT_IS, score_threshold=-2)
    assert found["labels"].tolist() == [2]


def test_the_best_come_first_and_equal_scores_keep_their_order():
    boxes = [(0, 0, i + 1, 9) for i in range(4)]
    found = in_image(
        *rows(*boxes, scores=[0.3, 0.8, 0.5, 0.8], labels=[0, 1, 2, 3]),
        size=(50, 50),
        fit=AS_IT_IS,
        score_threshold=0.4,
        max_detections=2,
    )
    assert found["labels"].tolist() == [1, 3]
    assert found["scores"].tolist() == pytest.approx([0.8, 0.8])
    assert found["boxes"][:, 2].tolist() == [2, 4]


def test_a_score_at_the_threshold_counts():
    found = in_image(*rows((0, 0, 9, 9), scores=[0.5]), (50, 50), AS_IT_IS, score_threshold=0.5)
    assert len(found["scores"]) == 1


def test_rows_that_are_not_finite_are_dropped():
    boxes, scores, labels = rows(
        (0, 0, 9, 9), (np.nan,) * 4, (0, 0, 9, 9), scores=[0.9, 0.9, np.nan]
    )
    assert len(in_image(boxes, scores, labels, (50, 50), AS_IT_IS)["scores"]) == 1


def test_nothing_found_keeps_shapes_and_dtypes():
    found = in_image(*rows(), size=(50, 50), fit=AS_IT_IS)
    assert (found["boxes"].shape, found["boxes"].dtype) == ((0, 4), np.float32)
    assert found["scores"].shape == found["labels"].shape == (0,)


def test_no_images_make_no_detections(tmp_path):
    dataset = csv_set(tmp_path)
    dataset.records.clear()
    assert detect(Perfect(dataset), generator(dataset)) == ([], 0)


def test_a_data_set_is_put_together_from_the_methods_of_an_old_generator():
    class Old(Generator):
        def size(self):
            return 2

        def num_classes(self):
            return 2

        def load_image(self, image_index):
            return np.zeros((30, 40, 3), "uint8")

        def image_path(self, image_index):
            return f"{image_index}.png"

        def load_annotations(self, image_index):
            boxes = np.array([[1.0, 2, 3, 4]])[: 1 - image_index]
            return {"labels": np.ones(len(boxes)), "bboxes": boxes}

    dataset = dataset_of(Old(group_method="none"))
    assert dataset.class_names == ["0", "1"]
    assert dataset.category_ids == [1, 2]
    assert [record.size for record in dataset.records] == [(40, 30)] * 2
    assert dataset.records[0].boxes.tolist() == [[1, 2, 3, 4]]
    assert dataset.records[0].labels.dtype == np.int64
    assert dataset.records[1].boxes.shape == (0, 4)
