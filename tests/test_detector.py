"""Detector: images of every kind in, boxes in their pixels out."""

import json
import os
import sys
import threading

import numpy as np
import pytest
from PIL import Image

from keras_retinanet import Detector, detector, model_input, open_dataset
from keras_retinanet.bucketing import batches
from keras_retinanet.detector_options import DetectorOptions
from keras_retinanet.errors import InputError
from keras_retinanet.evaluation import evaluate_coco, evaluate_voc
from keras_retinanet.evaluation.detections import detect_dataset
from keras_retinanet.model_input import ModelInput, Prepared, read_rgb
from keras_retinanet.models import backbone, convert_model
from keras_retinanet.parts import Design, Heads, Inputs, Pyramid
from keras_retinanet.preprocessing.dataset import checked
from keras_retinanet.preprocessing.readers import read_coco, read_csv, read_pascal
from keras_retinanet.utils.resizing import RESIZES, Fit, stretched

# name: (size (w, h), [(class, box)]); the sizes round when they are resized to 64 / 90
IMAGES = {
    "a": ((101, 73), [("dog", (10, 5, 60, 70)), ("cat", (0, 0, 101, 73))]),
    "b": ((73, 150), [("cat", (3, 90, 40, 149))]),
    "c": ((64, 64), []),
    "d": ((200, 60), [("dog", (120, 10, 199, 50)), ("dog", (5, 10, 45, 50))]),
}
NAMES = ["cat", "dog"]
SIDES = ModelInput(64, 90)


class Perfect:
    """Find every box; the grey value of an image, 20 times its index, identifies it."""

    def __init__(self, dataset, inputs=SIDES):
        self.dataset = dataset
        self.inputs = inputs
        self.shapes = []

    def predict_on_batch(self, images):
        self.shapes.append(images.shape)
        boxes = np.full((len(images), 6, 4), -1, "float32")
        scores = np.full((len(images), 6), -1, "float32")
        labels = np.full((len(images), 6), -1, "int32")
        for row, image in enumerate(images):
            index = round(image[..., 0].max() / 20)  # padding is black
            record = self.dataset.records[index]
            fit = self.inputs.fit(record.size)
            count = len(record.boxes)
            boxes[row, :count] = record.boxes * np.tile(fit.scale, 2) + np.tile(fit.offset, 2)
            scores[row, :count] = np.linspace(0.9, 0.8, count)
            labels[row, :count] = record.labels
        return boxes, scores, labels


def write_images(folder):
    folder.mkdir(parents=True)
    for index, (name, (size, _)) in enumerate(IMAGES.items()):
        Image.new("RGB", size, (20 * index,) * 3).save(folder / f"{name}.png")


def csv_set(folder):
    write_images(folder / "images")
    rows = [
        f"images/{name}.png,{','.join(map(str, box))},{label}"
        for name, (_, boxes) in IMAGES.items()
        for label, box in boxes
    ]
    rows.insert(3, "images/c.png,,,,,")
    (folder / "boxes.csv").write_text("\n".join(rows))
    (folder / "classes.csv").write_text("dog,1\ncat,0\n")
    return read_csv(str(folder / "boxes.csv"), str(folder / "classes.csv"))


def coco_set(folder):
    write_images(folder / "images")
    annotations = [
        {
            "id": 10 * index + row,
            "image_id": index,
            "category_id": {"cat": 3, "dog": 18}[label],
            "bbox": [x1, y1, x2 - x1, y2 - y1],
        }
        for index, (_, boxes) in enumerate(IMAGES.values())
        for row, (label, (x1, y1, x2, y2)) in enumerate(boxes)
    ]
    content = {
        "images": [{"id": i, "file_name": f"{name}.png"} for i, name in enumerate(IMAGES)],
        "annotations": annotations,
        "categories": [{"id": 18, "name": "dog"}, {"id": 3, "name": "cat"}],
    }
    (folder / "instances.json").write_text(json.dumps(content))
    return read_coco(str(folder / "instances.json"), str(folder / "images"))


def pascal_set(folder):
    write_images(folder / "JPEGImages")
    (folder / "Annotations").mkdir()
    (folder / "ImageSets" / "Main").mkdir(parents=True)
    (folder / "ImageSets" / "Main" / "val.txt").write_text("\n".join(IMAGES))
    for name, (_, boxes) in IMAGES.items():
        objects = "".join(
            f"<object><name>{label}</name><bndbox><xmin>{x1 + 1}</xmin><ymin>{y1 + 1}</ymin>"
            f"<xmax>{x2 + 1}</xmax><ymax>{y2 + 1}</ymax></bndbox></object>"
            for label, (x1, y1, x2, y2) in boxes
        )
        path = folder / "Annotations" / f"{name}.xml"
        path.write_text(f"<annotation>{objects}</annotation>")
    return read_pascal(str(folder), "val")


READERS = {"csv": csv_set, "coco": coco_set, "pascal": pascal_set}


def perfect(dataset, inputs=SIDES, **options):
    """Return a detector whose model finds every box."""
    options = {"score_threshold": 0.05, **options}
    return Detector(Perfect(dataset, inputs), inputs, dataset.class_names, **options)


@pytest.fixture
def data(tmp_path):
    return checked(csv_set(tmp_path))


@pytest.fixture(scope="module")
def tiny_model():
    """Return an untrained training model of the classes cat and dog, for images of 64 px."""
    inputs = Inputs(image_min_side=64, image_max_side=64)
    design = Design(Pyramid(width=8), Heads(depth=1), inputs=inputs)
    return backbone("resnet10_0.25").detector(["cat", "dog"], design=design)


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("batch_size", [1, 3])
def test_perfect_model_gets_perfect_figures(tmp_path, reader, batch_size):
    dataset = checked(READERS[reader](tmp_path))
    assert dataset.class_names == NAMES
    finder = perfect(dataset, batch_size=batch_size)
    kept, detections = detect_dataset(finder, dataset)
    assert kept == dataset
    assert {shape[0] for shape in finder.model.shapes} == {batch_size}
    for record, found in zip(dataset.records, detections, strict=True):
        assert np.allclose(found.boxes, record.boxes, atol=1e-3)
        assert found.labels.tolist() == record.labels.tolist()
        assert (found.boxes.dtype, found.scores.dtype) == (np.float32, np.float32)
        assert found.image is None  # a data set of any length fits into memory
    metrics = evaluate_coco(dataset, detections)
    assert metrics["AP"] == pytest.approx(1)
    assert [metrics["per_class"][name]["AP"] for name in NAMES] == pytest.approx([1, 1])
    assert evaluate_voc(dataset, detections) == {0: (1.0, 2), 1: (1.0, 3)}


def test_evaluate_takes_data_sets_and_paths_and_prints_nothing(data, tmp_path, capsys):
    finder = perfect(data)
    path = tmp_path / "boxes.csv"
    for given in (data, path, str(path)):
        metrics = finder.evaluate(given)
        assert (metrics["AP"], metrics["VOC"]) == (pytest.approx(1), 1.0)
    assert finder.evaluate(path, classes=tmp_path / "classes.csv")["AP"] == pytest.approx(1)
    assert finder.evaluate(data, score_threshold=0.95)["AP"] == 0
    assert finder.evaluate(data, max_detections=1)["AR100"] < 1
    assert finder.evaluate(data, iou_threshold=1.01)["VOC"] == 0
    assert finder.options.score_threshold == 0.05
    assert capsys.readouterr() == ("", "")
    with pytest.raises(InputError, match="'owl'"):
        finder.evaluate(data.__class__(data.records, ["cat", "owl"], [1, 2]))


def test_evaluate_reads_the_usual_test_split(tmp_path):
    data = checked(pascal_set(tmp_path / "voc"))
    (tmp_path / "voc" / "ImageSets" / "Main" / "train.txt").write_text("a")
    assert perfect(data).evaluate(tmp_path / "voc")["AP"] == pytest.approx(1)
    with pytest.raises(InputError, match="train, val"):
        open_dataset(tmp_path / "voc", classes=data.class_names)


def test_thresholds_and_limits_drop_detections(data):
    [*found] = perfect(data, score_threshold=0.85).stream(record.path for record in data.records)
    assert [len(image) for image in found] == [1, 1, 0, 1]
    found = perfect(data, max_detections=1)([record.path for record in data.records])
    assert [len(image) for image in found] == [1, 1, 0, 1]


@pytest.mark.parametrize("resize", RESIZES)
@pytest.mark.parametrize("canvases", ["few", "own"])
def test_every_resize_rule_is_inverted(data, resize, canvases):
    inputs = ModelInput(64, 90, resize, canvases)
    finder = perfect(data, inputs)
    for record in data.records:
        found = finder(record.path)
        np.testing.assert_allclose(found.boxes, record.boxes, atol=1e-3)
        if canvases == "own":
            assert finder.model.shapes[-1][1:3] == inputs.fit(record.size).frame[::-1]


# the forms of an image


def test_every_form_of_an_image_gives_the_same_boxes(data):
    finder, path = perfect(data), data.records[1].path
    with open(path, "rb") as file:
        encoded = file.read()
    pixels = np.asarray(Image.open(path))
    for source in (path, encoded, pixels, Image.open(path)):
        found = finder(source)
        np.testing.assert_allclose(found.boxes, data.records[1].boxes, atol=1e-3)
        assert found.names == ["cat"]
        np.testing.assert_array_equal(found.image, pixels)
    assert finder(path).path == path
    assert finder(pixels).path is None
    assert finder([]) == []
    assert [found.index for found in finder((pixels, encoded))] == [0, 1]


def test_images_are_turned_upright(data, tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # upright after a quarter turn clockwise
    turned = Image.open(data.records[1].path).transpose(Image.Transpose.ROTATE_90)
    turned.save(tmp_path / "turned.png", exif=exif)
    for source in (tmp_path / "turned.png", Image.open(tmp_path / "turned.png")):
        np.testing.assert_allclose(perfect(data)(source).boxes, data.records[1].boxes, atol=1e-3)


def test_errors_name_unreadable_images(data, tmp_path):
    finder = perfect(data)
    (tmp_path / "text.jpg").write_text("no image")
    for path in (tmp_path / "text.jpg", tmp_path / "missing.jpg"):
        with pytest.raises(InputError, match=path.name):
            finder(path)
        with pytest.raises(InputError, match=path.name):
            list(finder.stream([data.records[0].path, path]))
    with pytest.raises(InputError):
        finder(b"no image")
    for shape, dtype in (((9, 9), "uint8"), ((9, 9, 4), "uint8"), ((9, 9, 3), "float32")):
        with pytest.raises(InputError, match=rf"shape \({shape[0]}, .*dtype {dtype}"):
            finder(np.zeros(shape, dtype))
    with pytest.raises(InputError):
        finder(np.zeros((0, 9, 3), "uint8"))


# streams


def test_stream_skips_unreadable_images(data, tmp_path):
    (tmp_path / "text.jpg").write_text("no image")
    paths = [record.path for record in data.records]
    mixed = [tmp_path / "text.jpg", *paths[:2], tmp_path / "gone.jpg", *paths[2:], "gone.png"]
    finder = perfect(data, batch_size=3)
    with pytest.warns(UserWarning, match=r"3 of 7 images.*text\.jpg") as caught:
        found = list(finder.stream(mixed, on_error="skip"))
    assert len(caught) == 1
    assert [image.index for image in found] == [1, 2, 4, 5]
    assert [image.path for image in found] == paths
    with pytest.raises(InputError, match=r"None of 2 images.*gone\.png"):
        list(finder.stream(["gone.jpg", "gone.png"], on_error="skip"))
    with pytest.raises(ValueError, match="'ignore'"):
        next(finder.stream(paths, on_error="ignore"))
    assert list(finder.stream([], on_error="skip")) == []


def test_detections_do_not_depend_on_the_other_images(data):
    separate = [perfect(data)(record.path) for record in data.records]
    order = [3, 0, 2, 1, 0, 3, 3, 1]
    finder = perfect(data, batch_size=3)
    found = list(finder.stream(data.records[i].path for i in order))
    assert [image.index for image in found] == list(range(8))
    for image, i in zip(found, order, strict=True):
        np.testing.assert_array_equal(image.boxes, separate[i].boxes)
    assert len({shape[1:3] for shape in finder.model.shapes}) == len(
        {SIDES.bucket(SIDES.fit(record.size)) for record in data.records}
    )


@pytest.mark.parametrize(("usable", "expected"), [(1, 4), (7, 7), (64, 16)])
def test_stream_decodes_in_all_usable_threads_within_bounds(data, monkeypatch, usable, expected):
    asked, prefetch = [], detector.prefetch

    def noted(function, items, workers, ahead):
        asked.append(workers)
        return prefetch(function, items, workers, ahead)

    monkeypatch.setattr(detector, "prefetch", noted)
    monkeypatch.setattr(detector, "usable_threads", lambda: usable)
    list(perfect(data).stream(record.path for record in data.records))
    assert asked == [expected]


def test_stream_reads_at_most_50_images_ahead(data):
    finder, read = perfect(data, batch_size=2), []

    def endless():
        while True:
            for record in data.records:
                read.append(record.path)
                yield record.path

    stream = finder.stream(endless())
    for index in range(40):
        assert next(stream).index == index
        assert len(read) - index < 50
    stream.close()


def test_images_of_a_rare_bucket_are_detected_within_8_images():
    def prepared(index, bucket):
        return Prepared(None, None, None, bucket, None, index)

    items = [prepared(0, "rare"), *(prepared(i, "usual") for i in range(1, 100))]
    groups = list(batches(iter(items), 4, 8))
    assert [len(group) for group in groups[:4]] == [4, 4, 1, 4]
    assert sorted(item.index for group in groups for item in group) == list(range(100))
    assert all(len({item.bucket for item in group}) == 1 for group in groups)


def test_given_read_function_runs_in_one_other_thread(data, monkeypatch):
    finder, threads = perfect(data), set()

    def read(index):
        threads.add(threading.get_ident())
        return np.asarray(Image.open(data.records[index].path))

    found = list(finder.stream(range(4), read=read))
    assert len(threads) == 1
    assert threads != {threading.get_ident()}
    for image, record in zip(found, data.records, strict=True):
        np.testing.assert_allclose(image.boxes, record.boxes, atol=1e-3)


# the outputs of the model


def in_image(*boxes, scores=None, labels=None, size=(50, 50), fit=None, **options):
    """Return the detections of the model's outputs for one image of `size` (w, h) px."""
    boxes = np.array(boxes, "float32").reshape(-1, 4)
    scores = np.linspace(0.9, 0.5, len(boxes)) if scores is None else scores
    labels = np.zeros(len(boxes)) if labels is None else labels
    outputs = boxes, np.array(scores, "float32"), np.array(labels, "int32")
    finder = Detector(None, ModelInput(None, None), **{"score_threshold": 0.05, **options})
    image = np.zeros((*size[::-1], 3), "uint8")
    item = Prepared(image, image, fit or stretched(size, size), size, None, 0)
    return finder._in_image(item, *outputs)


def test_boxes_are_scaled_by_axis():
    # 101 x 73 px at a short side of 64: scale 64/73, width 88.547.. rounds to 89
    fit = SIDES.fit((101, 73))
    assert fit.size == (89, 64)
    found = in_image((8.9, 6.4, 89, 64), size=(101, 73), fit=fit)
    assert np.allclose(found.boxes, [[10.1, 7.3, 101, 73]], atol=1e-4)


def test_boxes_are_clipped_to_the_image_without_its_padding():
    fit = stretched((100, 120), (50, 60))
    found = in_image((-5, -5, 60, 70), (40, 40, 80, 55), size=(100, 120), fit=fit)
    assert found.boxes.tolist() == [[0, 0, 100, 120]]  # the other is centred at 60 of 50 px


def test_detections_centred_in_the_padding_are_dropped():
    boxes = ((40, 10, 60, 20), (41, 10, 60, 20), (10, 50, 20, 71))
    assert in_image(*boxes, size=(50, 60)).boxes.tolist() == [[40, 10, 50, 20]]


def test_offset_of_the_image_is_subtracted():
    # an image of 20 x 10 px, three times as wide and twice as high, 4 px from the left and 7 from
    # the top of what the model sees; a box in the border is at the edge of the image
    fit = Fit((60, 20), (3, 2), (4, 7), (64, 40))
    found = in_image((10, 9, 40, 17), (0, 0, 2, 4), size=(20, 10), fit=fit)
    assert found.boxes.tolist() == [[2, 1, 12, 5], [0, 0, 0, 0]]


def test_padding_rows_and_non_finite_rows_are_dropped():
    found = in_image(
        *((0, 0, 9, 9), (-1, -1, -1, -1), (np.nan,) * 4, (0, 0, 9, 9)),
        scores=[0.9, -1, 0.9, np.nan],
        labels=[2, -1, 0, 0],
        score_threshold=0,
    )
    assert found.labels.tolist() == [2]


def test_detections_are_sorted_by_score_and_keep_the_order_of_equals():
    boxes = [(0, 0, i + 1, 9) for i in range(4)]
    found = in_image(
        *boxes,
        scores=[0.3, 0.8, 0.5, 0.8],
        labels=[0, 1, 2, 3],
        score_threshold=0.4,
        max_detections=2,
    )
    assert found.labels.tolist() == [1, 3]
    assert found.scores.tolist() == pytest.approx([0.8, 0.8])
    assert found.boxes[:, 2].tolist() == [2, 4]


def test_score_at_the_threshold_is_kept():
    assert len(in_image((0, 0, 9, 9), scores=[0.5], score_threshold=0.5)) == 1


def test_no_detections_keep_shapes_and_dtypes():
    found = in_image()
    assert (found.boxes.shape, found.boxes.dtype) == ((0, 4), np.float32)
    assert found.scores.shape == found.labels.shape == (0,)


# the input of the model


def test_buckets_are_few_and_follow_from_image_size():
    inputs = ModelInput(800, 1333)
    sizes = [(w, h) for w in range(100, 1000, 37) for h in range(100, 1000, 41)]
    buckets = set()
    for size in sizes:
        fit = inputs.fit(size)
        bucket = inputs.bucket(fit)
        assert all(
            side % 32 == 0 and side >= least for side, least in zip(bucket, fit.size, strict=True)
        )
        buckets.add(bucket)
    assert len([bucket for bucket in buckets if max(bucket) < 1344]) <= 2 * 6
    # sides rounded up to 32 for images of usual shapes, and where the long side decides
    for size, bucket in {
        (640, 480): (1088, 800),
        (480, 640): (800, 1088),
        (500, 333): (1216, 800),
        (600, 600): (800, 800),
        (1920, 1080): (1344, 768),
        (1242, 375): (1344, 416),
    }.items():
        assert inputs.bucket(inputs.fit(size)) == bucket
    square = ModelInput(64, 64)
    assert square.bucket(square.fit((101, 73))) == (64, 64)
    plain = ModelInput(None, None)
    assert plain.bucket(plain.fit((65, 31))) == (96, 32)
    own = ModelInput(800, 1333, canvases="own")
    assert own.bucket(own.fit((640, 480))) == (1067, 800)


def test_input_follows_the_model(tiny_model):
    old = backbone("resnet10_0.25").retinanet(2)
    pixel = np.array([[[255, 127, 0]]], "uint8")  # RGB
    prepared = ModelInput.of(old).preprocess(pixel)
    # (255 - 123.675) / 58.395, (127 - 116.28) / 57.12, (0 - 103.53) / 57.375
    np.testing.assert_allclose(prepared, [[[2.248908, 0.187675, -1.804444]]], rtol=1e-5)
    inputs = ModelInput.of(tiny_model)
    assert inputs == ModelInput(64, 64, "opencv", "few", None)
    assert ModelInput.of(tiny_model, min_side=32).min_side == 32
    assert ModelInput.of(tiny_model, no_resize=True).fit((70, 30)).size == (70, 30)
    with pytest.raises(InputError, match=r"image_min_side \(100\).*image_max_side \(64\)"):
        ModelInput.of(tiny_model, min_side=100)


# models and files


def test_training_and_inference_models_detect_alike(tiny_model, tmp_path):
    image = np.random.default_rng(0).integers(0, 256, (48, 64, 3), dtype="uint8")
    tiny_model.save(tmp_path / "training.keras")
    convert_model(tiny_model).save(tmp_path / "inference.keras")
    options = {"score_threshold": 0.0, "max_detections": 20}
    inference = Detector.load(tmp_path / "inference.keras", **options)
    training = Detector.load(tmp_path / "training.keras", **options)
    with pytest.warns(UserWarning, match="below 0.05"):
        graph = Detector(convert_model(tiny_model), **options)  # with NMS in the graph
    assert len(training(image)) == 20
    for finds in (inference, graph):
        found = finds(image)
        for name in ("boxes", "scores", "labels"):
            expected = getattr(training(image), name)[: len(found)]
            np.testing.assert_allclose(getattr(found, name), expected, rtol=1e-5, atol=1e-5)
    assert training.class_names == ["cat", "dog"]
    assert training.seconds_per_image > 0


def test_inference_model_refuses_other_post_processing(tiny_model):
    inference = convert_model(tiny_model)
    assert Detector(inference, nms="hard", nms_threshold=0.5).model is inference
    assert Detector(tiny_model, nms="diou").model.detection["nms"] == "diou"
    for options, message in (
        ({"nms": "diou"}, "'diou'.*'hard'"),
        ({"nms_threshold": 0.6}, r"0\.6.*0\.5"),
    ):
        with pytest.raises(InputError, match=message):
            Detector(inference, **options)
    with pytest.raises(TypeError, match="threshold"):
        Detector(inference, threshold=0.5)


def test_errors_name_files_without_a_detector(tmp_path):
    (tmp_path / "text.keras").write_text("no model")
    for name in ("text.keras", "missing.keras"):
        with pytest.raises(InputError, match=name):
            Detector.load(tmp_path / name)


def test_models_without_names_refuse_another_number_of_classes(data):
    finder = Detector(backbone("resnet10_0.25").retinanet(3), image_min_side=64, image_max_side=64)
    with pytest.raises(InputError, match="cat, dog, but the model has 3"):
        finder.evaluate(data)
    assert (
        finder(data.records[0].path).names
        == finder(data.records[0].path).labels.astype(str).tolist()
    )


def test_at_most_30_functions_run_from_file_to_model(tiny_model, tmp_path):
    Image.new("RGB", (64, 48)).save(tmp_path / "a.jpg")
    finder, seen = Detector(tiny_model), set()
    predict = finder.model.predict_on_batch

    def stop(batch):
        sys.setprofile(None)
        return predict(batch)

    def note(frame, event, _):
        code = frame.f_code
        if event == "call" and "keras_retinanet" in code.co_filename and code.co_name[0] != "<":
            seen.add((code.co_filename, code.co_qualname))

    finder.model.predict_on_batch = stop
    sys.setprofile(note)
    try:
        finder(tmp_path / "a.jpg")
    finally:
        sys.setprofile(None)
        del finder.model.predict_on_batch
    assert len(seen) <= 30
    assert len({file for file, _ in seen}) <= 12


def test_examples_in_docstrings_are_true():
    import doctest

    from keras_retinanet import detections
    from keras_retinanet.preprocessing import source

    for module in (detections, detector, model_input, source):
        result = doctest.testmod(module)
        assert result.attempted > 0
        assert result.failed == 0


@pytest.mark.parametrize(
    "options",
    [
        {"batch_size": 0},
        {"batch_size": 1.5},
        {"batch_size": True},
        {"max_detections": -1},
        {"score_threshold": 2},
        {"score_threshold": "a"},
        {"image_min_side": 0},
        {"image_max_side": float("inf")},
        {"nms_threshold": -0.1},
        {"nms": "gentle"},
    ],
)
def test_options_out_of_range_are_refused(options):
    with pytest.raises(InputError):
        DetectorOptions(**options)


@pytest.mark.parametrize(
    "image",
    [
        np.zeros((0, 0, 3), "uint8"),
        np.zeros((4, 4), "uint8"),
        np.zeros((4, 4, 4), "uint8"),
        np.zeros((4, 4, 3), "float32"),
        Image.new("RGB", (0, 0)),
        b"",
        bytearray(b"x" * 300_000),
        ["x" * 100_000],
        "x" * 5_000,
        3,
    ],
)
def test_what_is_no_image_is_refused_in_a_short_sentence(image):
    with pytest.raises(InputError) as refused:
        read_rgb(image)
    assert len(str(refused.value)) < 2000
    assert "object at" not in str(refused.value)


def test_a_pipe_is_not_opened(tmp_path):
    os.mkfifo(tmp_path / "pipe.jpg")
    with pytest.raises(InputError, match=r"pipe\.jpg is not a regular file"):
        read_rgb(tmp_path / "pipe.jpg")
