import re
import warnings

import pytest

from keras_retinanet.errors import InputError
from keras_retinanet.preprocessing.dataset import make_record
from keras_retinanet.preprocessing.writers import WRITERS

LOSSES = {
    "csv": {"ignored boxes", "areas", "category ids"},
    "coco": set(),
    "pascal": {"areas", "category ids", "classes that no box has"},
    "kitti": {
        "classes of ignored boxes",
        "areas",
        "category ids",
        "classes that no box has",
        "class names",
    },
    "oid": {"areas", "category ids"},
    "yolo": {"ignored boxes", "areas", "category ids"},
}


@pytest.mark.parametrize(("kind", "losses"), LOSSES.items())
def test_what_a_format_cannot_say_is_counted(kind, losses, source, tmp_path, dataset):
    boxes, origin = [(1, 2, 3, 4)] * 3, {"origin": "a.json: annotation", "entries": [7, 8, 9]}
    record = make_record(
        source / "full.png", 1, boxes, [0, 0, 1], [0, 1, 1], [4, 4, 3], size=(40, 20), **origin
    )
    data = dataset(record, names=["a cat", "dog", "cow"], ids=[1, 2, 4])
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        WRITERS[kind](data, str(tmp_path))
    messages = [str(warning.message) for warning in caught]
    assert {warning.filename for warning in caught} <= {__file__}
    firsts = {
        "ignored boxes": "Left out 2 of 3 {}; the first: a.json: annotation 8.",
        "classes of ignored boxes": "Left out 2 of 3 {}; the first: a.json: annotation 8.",
        "areas": "Left out 1 of 3 {} that differ from their box's; the first: a.json: "
        "annotation 9.",
        "category ids": "Left out 3 of 3 {}; the first: 1 of 'a cat'.",
        "classes that no box has": "Left out 1 of 3 {}; the first: 'cow'."
        if kind == "pascal"
        else "Left out 2 of 3 {}; the first: 'dog'.",  # the dog is to be ignored
        "class names": "Put underscores into 1 of 3 {}; the first: 'a cat'.",
    }
    assert sorted(messages) == sorted(firsts[loss].format(loss) for loss in losses)


@pytest.mark.parametrize("kind", ["csv", "pascal", "kitti", "oid"])
@pytest.mark.parametrize("name", ["", " cat", "cat\t", "a\nb", "a\x85b", "\0", "\ud800"])
def test_class_names_that_would_be_lost_are_refused(kind, name, source, tmp_path, write, dataset):
    data = dataset(make_record(source / "full.png", 1, size=(40, 20)), names=["dog", name])
    with pytest.raises(InputError, match=re.escape(repr(name))):
        write(kind, data, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("kind", "names", "message"),
    [
        ("csv", ["cat", "cat"], "2 classes have the name 'cat'"),
        ("kitti", ["a cat", "a_cat"], "2 classes have the name 'a_cat'"),
        ("kitti", ["dontcare", "cat"], "DontCare"),
    ],
)
def test_class_names_that_would_not_be_told_apart_are_refused(
    kind, names, message, source, tmp_path, write, dataset
):
    data = dataset(make_record(source / "full.png", 1, size=(40, 20)), names=names)
    with pytest.raises(InputError, match=message):
        write(kind, data, tmp_path / "out")


@pytest.mark.parametrize("kind", WRITERS)
def test_arguments_that_make_no_sense(kind, data, source, tmp_path, write, dataset):
    unmeasured = dataset(make_record(source / "full.png", 1))
    for wrong, arguments, message in [
        (dataset(), {}, "has no images"),
        (dataset(*data.records[1:], names=[], ids=[]), {}, "has no class names"),
        (unmeasured, {}, r"full\.png has no size"),
        (data, {"image_files": "move"}, "got 'move'"),
        (data, {"split": "../up"}, "not the name of a split"),
        (data, {"split": ""}, "not the name of a split"),
        (data, {"split": ".."}, "not the name of a split"),
    ]:
        with pytest.raises(InputError, match=message):
            write(kind, wrong, tmp_path / "out", **arguments)
    assert not (tmp_path / "out").exists()


def test_a_split_named_like_the_class_file(data, tmp_path, write):
    with pytest.raises(InputError, match="classes"):
        write("csv", data, tmp_path / "out", "classes")
