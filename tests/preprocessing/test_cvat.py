from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from keras_retinanet.errors import InputError
from keras_retinanet.preprocessing.dataset import checked
from keras_retinanet.preprocessing.readers import read_cvat

DATA = Path(__file__).parents[1] / "data" / "cvat"
SHAPES = {  # a file of tests/data/cvat with one bad entry: what it gives
    "shape_without_label": "image good.png: shape 2: label must be text",
    "unknown_shape": "image good.png: shape 2: unknown shape <star>; known: box, ellipse, "
    "mask, polygon, polyline, points, skeleton, cuboid.",
    "box_without_side": "image good.png: shape 2: malformed xbr: None is not a number",
    "malformed_number": "image good.png: shape 2: malformed xbr: 'wide' is not a number",
    "too_large": "image good.png: shape 2: malformed xbr: '1e39' is too large",
    "malformed_points": "image good.png: shape 2: expected points 'x,y;x,y;...', got '1,2;3'",
    "malformed_number_of_points": "image good.png: shape 2: malformed y: 'x' is not a number",
    "unknown_class": "image good.png: shape 2: unknown class name: 'dgo' (classes: dog, cat)",
    "image_without_name": "image 2 has no name",
    "track_without_label": "track 0: label must be text",
    "frame_without_number": "track 0: frame None: malformed frame: None is not an integer",
}
FILES = {  # a file of no use
    "no_images": " holds no images",
    "other_root": "expected <annotations> as the root, got <annotation>",
    "malformed": "line 2, column 10: malformed XML: mismatched tag",
}
LABELS = "".join(f"<label><name>{name}</name></label>" for name in ("dog", "cat", "cow"))
META = f"<meta><task><labels>{LABELS}</labels>{{}}</task></meta>"
PLAIN = META.format("")


def box(label="dog", sides=(1, 2, 11, 22), more=""):
    names = ("xtl", "ytl", "xbr", "ybr")
    text = " ".join(f'{name}="{value}"' for name, value in zip(names, sides, strict=True))
    return f'<box label="{label}" {text} {more}><attribute name="a">b</attribute></box>'


def image(name, *shapes, more='width="60" height="40"'):
    return f'<image id="0" name="{name}" {more}>{"".join(shapes)}</image>'


@pytest.fixture
def write(tmp_path):
    def write(*parts, pictures=(), meta=PLAIN):
        for name in pictures:
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (60, 40)).save(tmp_path / name)
        text = f"<annotations><version>1.1</version>{meta}{''.join(parts)}</annotations>"
        (tmp_path / "annotations.xml").write_text(text)
        return str(tmp_path)

    return write


def test_an_image_whose_shapes_are_all_faults_is_left_out(write):
    bad, faults = box(sides=(1, 2, "x", 4)), []
    images = [image("a", bad), image("b", bad, box()), image("c"), image("d", box("cow"))]
    data = read_cvat(write(*images), ["dog", "cat"], faults=faults)
    assert [record.image_id for record in data.records] == ["b", "c"]
    assert len(faults) == 3


@pytest.mark.parametrize(("label", "side"), [("", 3), ("dog", "x")])
def test_a_frame_whose_shapes_are_all_faults_is_left_out(write, label, side):
    bad = box(sides=(1, 2, side, 4), more='frame="0"')
    tracks = f'<track id="0" label="{label}">{bad}</track>'
    tracks += '<track id="1" label="dog">' + box(more='frame="1"') + "</track>"
    pictures = [f"images/frame_00000{i}.png" for i in range(3)]
    faults = []
    data = read_cvat(write(tracks, pictures=pictures), faults=faults)
    assert [record.image_id for record in data.records] == ["frame_000001", "frame_000002"]
    assert len(faults) == 1


def test_read_cvat(write, tmp_path):
    tag = '<tag label="dog" source="manual"></tag>'
    folder = write(
        image("a.png", box("cow"), tag, box("dog", (0.5, 0, 9, 8.25))),
        image("b.png", more=""),
        pictures=["images/a.png", "b.png"],
    )
    for path in (folder, tmp_path / "annotations.xml"):
        data = read_cvat(path)
        a, b = data.records
        assert data.class_names == ["dog", "cat", "cow"]  # in the order of the task
        assert data.category_ids == [1, 2, 3]
        assert (a.image_id, a.path) == ("a.png", f"{folder}/images/a.png")
        assert b.path == f"{folder}/b.png"
        assert a.boxes.tolist() == [[1, 2, 11, 22], [0.5, 0, 9, 8.25]]
        assert a.labels.tolist() == [2, 0]
        assert (a.stated_size, b.stated_size) == ((60, 40), None)
        assert b.boxes.shape == (0, 4)
        place = f"{a.origin} {a.entries[1]}"
        assert place == f"{folder}/annotations.xml: image a.png: shape 3"


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ('<polygon label="dog" points="5,1;9,7.5;2,4"/>', [2, 1, 9, 7.5]),
        ('<polyline label="dog" points="9,7;2,1"/>', [2, 1, 9, 7]),
        ('<points label="dog" points="4,5;3,6"/>', [3, 5, 4, 6]),
        ('<ellipse label="dog" cx="20" cy="10" rx="6" ry="3"/>', [14, 7, 26, 13]),
        ('<ellipse label="dog" cx="20" cy="10" rx="6" ry="3" rotation="90"/>', [17, 4, 23, 16]),
        # rx = ry turns into itself
        ('<ellipse label="dog" cx="20" cy="10" rx="6" ry="6" rotation="30"/>', [14, 4, 26, 16]),
        ('<mask label="dog" rle="3, 1" left="4" top="5" width="6" height="7"/>', [4, 5, 10, 12]),
        (box(sides=(10, 10, 30, 20), more='rotation="90"'), [15, 5, 25, 25]),
        (box(sides=(10, 10, 30, 20), more='rotation="180"'), [10, 10, 30, 20]),
        # half a diagonal of 10 x 10 turned by 45 degrees is 5 * sqrt(2)
        (
            box(sides=(10, 10, 20, 20), more='rotation="45"'),
            [15 - 50**0.5, 15 - 50**0.5, 15 + 50**0.5, 15 + 50**0.5],
        ),
    ],
)
def test_the_box_around_a_shape(write, shape, expected):
    (record,) = read_cvat(write(image("a.png", shape))).records
    np.testing.assert_allclose(record.boxes, [expected], rtol=1e-6)


def test_pictures_of_subsets(write, tmp_path):
    folder = write(
        image("a.png", box("dog"), more='subset="train"'),
        image("a.png", box("cat"), more='subset="val"'),
        pictures=["images/train/a.png", "images/val/a.png"],
    )
    train, val = read_cvat(folder).records
    assert (train.image_id, val.image_id) == ("train/a.png", "val/a.png")
    assert train.path == f"{folder}/images/train/a.png"
    assert val.path == f"{folder}/images/val/a.png"
    (_, val) = read_cvat(folder, images_dir=str(tmp_path / "images/val")).records
    assert val.path == f"{folder}/images/val/a.png"


GONE = 'outside="1"'


def frame(number, sides=(1, 2, 11, 22), more='outside="0"'):
    return box(sides=sides, more=f'frame="{number}" {more}').replace('label="dog"', "")


def test_video(write):
    size = "<original_size><width>60</width><height>40</height></original_size>"
    folder = write(
        f'<track id="0" label="cat">{frame(2)}{frame(10, more=GONE)}</track>',
        f'<track id="1" label="dog">{frame(2, (0, 0, 5, 5))}{frame(3)}</track>',
        pictures=[f"images/frame_00000{i}.PNG" for i in (1, 2)],
        meta=META.format(size),
    )
    one, two, three = read_cvat(folder).records
    assert [r.image_id for r in (one, two, three)] == [f"frame_00000{i}" for i in (1, 2, 3)]
    assert two.path == f"{folder}/images/frame_000002.PNG"
    assert one.boxes.shape == (0, 4)  # nothing is seen there
    assert two.boxes.tolist() == [[1, 2, 11, 22], [0, 0, 5, 5]]
    assert two.labels.tolist() == [1, 0]
    assert f"{two.origin} {two.entries[1]}" == f"{folder}/annotations.xml: frame_000002: track 1"
    assert two.stated_size == (60, 40)
    assert three.path == f"{folder}/images/frame_000003.png"  # missing, for the check to name


def test_a_frame_where_all_has_left_has_no_boxes(write):
    track = f'<track id="0" label="cat">{frame(0)}{frame(1, more=GONE)}</track>'
    records = read_cvat(write(track, pictures=["frame_000000.png", "frame_000001.png"])).records
    assert [len(record.boxes) for record in records] == [1, 0]


def test_classes_given_or_found(write):
    folder = write(image("a.png", box("dog"), box("cat")))
    data = read_cvat(folder, ["cat", "dog"])
    assert data.class_names == ["cat", "dog"]
    assert data.records[0].labels.tolist() == [1, 0]
    folder = write(image("a.png", box("dog"), box("cat")), meta="")
    assert read_cvat(folder).class_names == ["cat", "dog"]
    meta = PLAIN.replace("task>", "project>")
    assert read_cvat(write(image("a.png"), meta=meta)).class_names == ["dog", "cat", "cow"]


@pytest.mark.parametrize("name", SHAPES | FILES)
def test_each_defect_gives_its_message(name):
    path = str(DATA / f"{name}.xml")
    with pytest.raises(InputError) as caught:
        read_cvat(path)
    assert str(caught.value).startswith(path)
    assert (
        str(caught.value).removeprefix(path).removeprefix(": ").startswith((SHAPES | FILES)[name])
    )


@pytest.mark.parametrize("name", SHAPES)
def test_faults_are_collected_and_the_other_shapes_kept(name):
    path, faults = str(DATA / f"{name}.xml"), []
    data = read_cvat(path, images_dir=str(DATA.parent / "images"), faults=faults)
    assert [fault.startswith(f"{path}: {SHAPES[name]}") for fault in faults] == [True]
    (record,) = checked(data, strict=True).records
    assert record.boxes.tolist() == [[1, 2, 11, 22]]


def test_every_specimen_has_its_message():
    assert {path.stem for path in DATA.iterdir()} == set(SHAPES | FILES)


def test_a_folder_without_or_with_many_files(write, tmp_path):
    with pytest.raises(InputError, match=r"holds no XML file"):
        read_cvat(tmp_path)
    write(image("a.png"))
    (tmp_path / "annotations.xml").rename(tmp_path / "one.xml")
    assert len(read_cvat(tmp_path).records) == 1
    (tmp_path / "two.xml").write_text("")
    with pytest.raises(InputError, match=r"holds several XML files, one.xml, two.xml"):
        read_cvat(tmp_path)
