import warnings
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from PIL.ImageFile import ImageFile

from keras_retinanet.errors import InputError
from keras_retinanet.preprocessing.dataset import (
    Dataset,
    checked,
    make_record,
    with_classes,
)
from keras_retinanet.preprocessing.image_info import image_info, image_sizes
from keras_retinanet.preprocessing.readers import read_csv
from keras_retinanet.utils.image import read_image_rgb

FORMATS = {"jpg": "JPEG", "png": "PNG", "gif": "GIF", "bmp": "BMP", "webp": "WEBP", "tif": "TIFF"}
SIZE = (60, 40)  # (width, height)
DATA = Path(__file__).parents[1] / "data"
CHECK = {  # a file of tests/data: what `checked` says of it under `strict`
    "check/missing_image": "Found 1 of 2 images that are missing or unreadable; the first: "
    "{images}/missing.png: no such file.",
    "check/image_that_is_none": "Found 1 of 2 images that are missing or unreadable; the first: "
    "{images}/no_image.jpg: not an image, or truncated.",
    "check/truncated_image": "Found 1 of 2 images that are missing or unreadable; the first: "
    "{images}/truncated.jpg: damaged or truncated (image file is truncated",
    "check/box_off_the_image": "Found 1 of 2 boxes that have no area or lie outside their image; "
    "the first: {file}: line 2 (box 60, 2, 70, 4 in 60 x 40 px).",
    "csv/inverted_box": "Found 1 of 2 boxes that have no area or lie outside their image; "
    "the first: {file}: line 2 (box 9, 2, 5, 4 in 60 x 40 px).",
    "csv/box_without_height": "Found 1 of 2 boxes that have no area or lie outside their image; "
    "the first: {file}: line 2 (box 1, 2, 3, 2 in 60 x 40 px).",
    "check/box_sticks_out": "Found 1 of 2 boxes that stick out of their image by over 1 px; "
    "the first: {file}: line 2 (box 50, 2, 70, 4 in 60 x 40 px).",
    "check/images_without_objects": "None of 1 images has a box to train on",
    "check/no_image_left": "The data set has no usable images (1 missing or unreadable; the first: "
    "{images}/empty.jpg: not an image, or truncated); check its paths.",
}
IMAGES = {  # a file of tests/data/images: what `image_info` says of it
    "empty.jpg": "not an image, or truncated",
    "no_image.jpg": "not an image, or truncated",
    **{f"truncated.{suffix}": "damaged or truncated (" for suffix in FORMATS},
}


def draw(path, orientation=None):
    pixels = np.random.default_rng(0).integers(0, 255, (SIZE[1], SIZE[0], 3), "uint8")
    exif = Image.Exif()
    if orientation:
        exif[0x0112] = orientation
    Image.fromarray(pixels).save(path, exif=exif)
    return str(path)


def cut_off(path, share=0.5):
    data = path.read_bytes()
    path.write_bytes(data[: int(share * len(data))])
    return str(path)


def record(path, boxes=((1, 2, 11, 22),), **kwargs):
    return make_record(path, str(path), boxes, [0] * len(boxes), **kwargs)


def dataset(*records):
    return Dataset(list(records), ["dog"], [1])


@pytest.fixture
def image(tmp_path):
    return draw(tmp_path / "image.png")


def test_make_record_sets_dtypes_and_derives_what_is_left_out():
    made = make_record("a.jpg", 7, [[1, 2, 4, 8], [0, 0, 1, 1]], [1, 0])
    assert (made.boxes.dtype, made.boxes.shape) == (np.float32, (2, 4))
    assert made.labels.dtype == np.int64
    assert made.ignore.tolist() == [False, False]
    assert made.area.dtype == np.float32
    assert made.area.tolist() == [18, 1]  # 3 x 6, 1 x 1
    assert made.size is None


def test_make_record_without_boxes_keeps_shapes():
    made = make_record("a.jpg", 7)
    assert (made.boxes.dtype, made.boxes.shape) == (np.float32, (0, 4))
    assert made.labels.shape == made.ignore.shape == made.area.shape == (0,)
    assert (made.labels.dtype, made.ignore.dtype) == (np.int64, bool)


@pytest.mark.parametrize("wrong", [{"labels": [1, 2]}, {"ignore": [True] * 2}, {"area": [1.0] * 2}])
def test_make_record_refuses_columns_of_another_length(wrong):
    with pytest.raises(ValueError, match=f"{next(iter(wrong))} must be 1"):
        make_record("a.jpg", 7, [[1, 2, 4, 8]], **{"labels": [0], **wrong})


def test_num_classes():
    assert Dataset([], ["dog", "cat"], [1, 2]).num_classes == 2


@pytest.mark.parametrize("suffix", FORMATS)
def test_image_size_of_every_format(tmp_path, suffix):
    path = draw(tmp_path / f"image.{suffix}")
    assert Image.open(path).format == FORMATS[suffix]
    assert image_info(path).size == SIZE


def test_image_size_decodes_only_what_has_no_certain_end(tmp_path, monkeypatch):
    paths = {suffix: draw(tmp_path / f"image.{suffix}") for suffix in FORMATS}
    decoded = set()
    load = ImageFile.load

    def counted(self):
        decoded.add(self.filename)
        return load(self)

    monkeypatch.setattr(ImageFile, "load", counted)
    assert [image_info(path).size for path in paths.values()] == [SIZE] * len(FORMATS)
    assert decoded == {paths["tif"]}


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "tif"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_image_size_is_that_of_the_upright_picture(tmp_path, suffix, orientation):
    path = draw(tmp_path / f"image.{suffix}", orientation)
    height, width, _ = read_image_rgb(path).shape
    assert image_info(path).size == (width, height)
    assert (width, height) == (SIZE if orientation < 5 else SIZE[::-1])


def test_image_size_finds_exif_behind_the_pixels(tmp_path):
    path = tmp_path / "image.png"
    draw(path, orientation=6)
    data = path.read_bytes()
    start, pixels, end = data.index(b"eXIf") - 4, data.index(b"IDAT") - 4, data.index(b"IEND") - 4
    assert start < pixels
    path.write_bytes(data[:start] + data[pixels:end] + data[start:pixels] + data[end:])
    assert image_info(path).size == SIZE[::-1] == read_image_rgb(path).shape[1::-1]


def test_broken_exif_is_no_fault_of_the_picture(tmp_path):
    path = tmp_path / "image.jpg"
    Image.new("RGB", SIZE).save(path, exif=b"Exif\0\0no TIFF header at all")
    assert image_info(path).size == SIZE


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.parametrize("share", [0.1, 0.5, 0.95])
def test_truncated_images_are_found(tmp_path, suffix, share):
    draw(tmp_path / f"image.{suffix}")
    path = cut_off(tmp_path / f"image.{suffix}", share)
    with pytest.raises(InputError, match=f"image.{suffix}: ."):
        image_info(path)


@pytest.mark.parametrize("suffix", ["jpg", "png", "gif"])
def test_bytes_after_the_end_are_harmless(tmp_path, suffix):
    path = tmp_path / f"image.{suffix}"
    draw(path)
    path.write_bytes(path.read_bytes() + b"made by a camera that signs its files")
    assert image_info(path).size == SIZE


def test_image_size_names_what_is_wrong(tmp_path):
    (tmp_path / "empty.jpg").touch()
    (tmp_path / "text.jpg").write_text("no image")
    for name, reason in {
        "missing.jpg": "no such file",
        "empty.jpg": "not an image",
        "text.jpg": "not an image",
        "": "a folder",
    }.items():
        path = str(tmp_path / name)
        with pytest.raises(InputError, match=reason) as caught:
            image_info(path)
        assert str(caught.value).startswith(f"{path}: ")


def test_checked_fills_sizes_and_leaves_good_data_alone(image):
    before = dataset(record(image), record(image, boxes=()))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        after = checked(before)
    assert [r.size for r in after.records] == [SIZE, SIZE]
    np.testing.assert_array_equal(after.records[0].boxes, before.records[0].boxes)
    assert after.records[1].boxes.shape == (0, 4)
    assert before.records[0].size is None


def test_checked_does_not_open_an_image_whose_size_is_known(image, monkeypatch):
    def refuse(path):
        raise AssertionError(f"{path} was opened")

    before = dataset(record(image, size=(30, 50)), record(image, [(0, 0, 9, 45)], size=(30, 50)))
    monkeypatch.setattr("keras_retinanet.preprocessing.dataset.image_info", refuse)
    after = checked(before)
    assert [r.size for r in after.records] == [(30, 50)] * 2
    assert after.records[1].boxes.tolist() == [[0, 0, 9, 45]]


def test_sizes_of_many_images(image, tmp_path):
    turned = draw(tmp_path / "turned.jpg", orientation=8)
    assert image_sizes([image, tmp_path / "missing.png", turned]) == [SIZE, None, SIZE[::-1]]
    assert image_sizes([]) == []


@pytest.mark.parametrize("name", CHECK)
def test_each_defect_gives_its_message(name):
    file = f"{DATA / name}.csv"
    images = DATA / "images"
    data = read_csv(file, ["dog"], faults=[])
    with pytest.raises(InputError) as caught:
        checked(data, strict=True)
    assert str(caught.value).startswith(CHECK[name].format(file=file, images=images))


@pytest.mark.parametrize("name", IMAGES)
def test_each_broken_image_gives_its_message(name):
    path = DATA / "images" / name
    with pytest.raises(InputError) as caught:
        image_info(path)
    assert str(caught.value).startswith(f"{path}: {IMAGES[name]}")


def test_every_specimen_has_its_message():
    assert {f"check/{path.stem}" for path in (DATA / "check").iterdir()} <= set(CHECK)
    readable = {"good.png", "float_nan.tif", "float_out_of_range.tif"}  # as far as the size goes
    assert {path.name for path in (DATA / "images").iterdir()} == {*IMAGES, *readable}


RECTANGLE = (5, 8, 15, 32)  # on an upright image of 60 x 40 px
STORED = {  # what EXIF calls row 0 and column 0 of the stored image, for each orientation
    1: lambda a: a,  # top, left
    2: lambda a: a[:, ::-1],  # top, right
    3: lambda a: a[::-1, ::-1],  # bottom, right
    4: lambda a: a[::-1],  # bottom, left
    5: lambda a: a.swapaxes(0, 1),  # left, top
    6: lambda a: a[:, ::-1].swapaxes(0, 1),  # right, top
    7: lambda a: a[::-1, ::-1].swapaxes(0, 1),  # right, bottom
    8: lambda a: a[::-1].swapaxes(0, 1),  # left, bottom
}


def bounds(pixels):
    """The box of the red rectangle on an image (H, W, 3)."""
    rows, columns = np.nonzero(pixels[..., 0] > 128)
    return [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]


@pytest.mark.parametrize("drawn_on", ["stored", "upright", "nothing known"])
@pytest.mark.parametrize("orientation", STORED)
def test_boxes_lie_on_the_object_of_the_upright_picture(tmp_path, orientation, drawn_on):
    pixels = np.zeros((SIZE[1], SIZE[0], 3), "uint8")
    x1, y1, x2, y2 = RECTANGLE
    pixels[y1:y2, x1:x2] = (255, 0, 0)
    stored = np.ascontiguousarray(STORED[orientation](pixels))
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / "a.png"
    Image.fromarray(stored).save(path, exif=exif)
    turned = orientation >= 5
    as_stored = drawn_on == "stored" and turned  # the others are of one size either way
    box = bounds(stored) if as_stored else RECTANGLE
    stated = {"stored": stored.shape[1::-1], "upright": SIZE, "nothing known": None}[drawn_on]

    before = dataset(record(path, [box], stated_size=stated))
    after = checked(before, strict=True)
    assert after.records[0].size == SIZE
    assert after.records[0].stated_size == (None if stated is None else SIZE)
    assert after.records[0].boxes.tolist() == [list(RECTANGLE)]
    assert after.records[0].boxes.tolist() == [bounds(read_image_rgb(path))]
    assert checked(after).records[0].boxes.tolist() == [list(RECTANGLE)]  # not turned twice


def test_boxes_on_a_turned_square_are_as_drawn(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (40, 40)).save(tmp_path / "a.png", exif=exif)
    before = dataset(record(tmp_path / "a.png", [RECTANGLE], stated_size=(40, 40)))
    assert checked(before).records[0].boxes.tolist() == [list(RECTANGLE)]


def test_a_turned_image_without_boxes(tmp_path):
    path = draw(tmp_path / "a.jpg", orientation=6)
    after = checked(dataset(record(path, (), stated_size=SIZE)), need_boxes=False).records[0]
    assert after.size == SIZE[::-1]
    assert after.boxes.shape == (0, 4)


def test_bad_images_are_dropped_with_one_warning(tmp_path, image):
    draw(tmp_path / "cut.jpg")
    bad = [str(tmp_path / "missing.jpg"), cut_off(tmp_path / "cut.jpg")]
    with pytest.warns(UserWarning, match="images") as caught:
        after = checked(dataset(record(bad[0]), record(image), record(bad[1])))
    assert [r.path for r in after.records] == [image]
    assert [str(w.message) for w in caught] == [
        f"Dropped 2 of 3 images that are missing or unreadable; the first: {bad[0]}: no such file."
    ]


BAD_BOXES = {
    "no width": (5, 5, 5, 9),
    "no height": (5, 5, 9, 5),
    "inverted": (9, 5, 5, 9),
    "left of the image": (-9, 5, -2, 9),
    "right of it": (60, 5, 70, 9),
    "above it": (5, -9, 9, 0),
    "below it": (5, 41, 9, 50),
    "not a number": (5, np.nan, 9, 9),
}


@pytest.mark.parametrize("bad", BAD_BOXES.values(), ids=BAD_BOXES)
def test_a_bad_box_is_dropped(image, bad):
    labels, ignore, area = [0, 1, 2], [True, False, False], [1.0, 2.0, 3.0]
    before = make_record(image, 0, [(1, 1, 3, 3), bad, (2, 2, 4, 4)], labels, ignore, area)
    with pytest.warns(UserWarning, match="Dropped 1 of 3 boxes that have no area or lie outside"):
        after = checked(dataset(before)).records[0]
    assert after.boxes.tolist() == [[1, 1, 3, 3], [2, 2, 4, 4]]
    assert after.labels.tolist() == [0, 2]
    assert after.ignore.tolist() == [True, False]
    assert after.area.tolist() == [1, 3]


def test_bad_boxes_give_one_warning_that_says_where_the_first_stands(image):
    origin = {"origin": "train.csv: line", "entries": [7, 8, 9]}
    boxes = [(1, 1, 3, 3), (5, 6, 5, 9), (70, 1, 80, 9)]
    with pytest.warns(UserWarning, match="boxes") as caught:
        after = checked(dataset(record(image, boxes, **origin), record(image, boxes)))
    assert [str(w.message) for w in caught] == [
        "Dropped 4 of 6 boxes that have no area or lie outside their image; "
        "the first: train.csv: line 8 (box 5, 6, 5, 9 in 60 x 40 px)."
    ]
    assert after.records[0].entries == (7,)
    assert after.records[1].entries == ()


def test_boxes_that_stick_out_are_clipped(image):
    boxes = [(-1, -0.5, 10, 10), (50, 30, 61, 41), (1, 1, 2, 2)]
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # up to 1 px is rounding
        after = checked(dataset(record(image, boxes))).records[0]
    assert after.boxes.tolist() == [[0, 0, 10, 10], [50, 30, 60, 40], [1, 1, 2, 2]]
    assert after.area.tolist() == [100, 100, 1]

    with pytest.warns(UserWarning, match=r"Clipped 1 of 1 boxes .*\(box -5, 0, 10, 10 in 60 x 40"):
        after = checked(dataset(record(image, [(-5, 0, 10, 10)]))).records[0]
    assert after.boxes.tolist() == [[0, 0, 10, 10]]


def test_the_area_of_a_segment_is_kept_while_its_box_can_hold_it(image):
    boxes = [(-1, 0, 10, 10), (-1, 0, 10, 10), (0, 0, 5, 5)]
    after = checked(dataset(record(image, boxes, area=[30, 105, 7]))).records[0]
    assert after.area.tolist() == [30, 100, 7]


@pytest.mark.parametrize(
    ("boxes", "missing", "message"),
    [
        ([(1, 1, 3, 3)], True, "Found 1 of 2 images that are missing"),
        ([(1, 1, 3, 3), (5, 5, 5, 5)], False, "Found 1 of 2 boxes that have no area"),
        ([(-5, 1, 3, 3)], False, "Found 1 of 1 boxes that stick out"),
    ],
)
def test_strict_raises_instead(tmp_path, image, boxes, missing, message):
    records = [record(image, boxes)] + [record(tmp_path / "missing.jpg")] * missing
    with pytest.raises(InputError, match=message):
        checked(dataset(*records), strict=True)


def test_no_image_left(tmp_path):
    with pytest.raises(InputError, match="no usable images;"):
        checked(dataset())
    with pytest.raises(InputError, match=r"no usable images \(2 missing .* missing.jpg: no such"):
        checked(dataset(*[record("missing.jpg")] * 2))


@pytest.mark.parametrize("boxes", [[], [(1, 1, 3, 3)]], ids=["none", "all ignored"])
def test_no_box_left(image, boxes):
    data = dataset(record(image, boxes, ignore=[True] * len(boxes)))
    with pytest.raises(InputError, match="None of 1 images has a box"):
        checked(data)
    assert len(checked(data, need_boxes=False).records) == 1


def test_with_classes_counts_in_the_order_of_a_model():
    boxes = [(0, 0, 9, 9)] * 3
    mine = Dataset([make_record("a.jpg", 1, boxes, [0, 1, 0])], ["dog", "cat"], [18, 17])
    theirs = with_classes(mine, ["cow", "cat", "dog"])
    assert theirs.class_names == ["cow", "cat", "dog"]
    assert theirs.records[0].labels.tolist() == [2, 1, 2]
    assert theirs.category_ids[1:] == [17, 18]
    assert theirs.category_ids[0] not in (17, 18)  # a class that the data set does not have
    assert mine.records[0].labels.tolist() == [0, 1, 0]


def test_with_classes_of_its_own_changes_nothing():
    mine = Dataset([make_record("a.jpg", 1, [(0, 0, 9, 9)], [1])], ["dog", "cat"], [18, 17])
    theirs = with_classes(mine, ["dog", "cat"])
    assert theirs.records[0].labels.tolist() == [1]
    assert theirs.category_ids == [18, 17]


def test_with_classes_takes_images_without_boxes():
    theirs = with_classes(Dataset([make_record("a.jpg", 1)], [], []), ["cat"])
    assert theirs.records[0].labels.shape == (0,)
    assert theirs.category_ids == [1]


def test_with_classes_names_a_class_that_the_model_lacks():
    mine = Dataset([], ["dog", "egg"], [1, 2])
    with pytest.raises(InputError, match="Unknown class 'egg'; known: dog, cat"):
        with_classes(mine, ["dog", "cat"])


@pytest.mark.filterwarnings("error::RuntimeWarning")
@pytest.mark.parametrize("value", [1e39, -1e300, np.inf, np.nan])
@pytest.mark.parametrize("side", range(4))
def test_a_box_without_an_end_is_dropped(tmp_path, value, side):
    boxes = [[1, 2, 3, 4], [1, 2, 30, 30]]
    boxes[1][side] = value
    record = make_record(draw(tmp_path / "a.png"), "a", boxes, [0, 0])
    with pytest.warns(UserWarning, match="^Dropped 1 of 2 boxes") as warned:
        (fitted,) = checked(Dataset([record], ["dog"], [1])).records
    assert len(warned) == 1
    assert fitted.boxes.tolist() == [[1, 2, 3, 4]]
