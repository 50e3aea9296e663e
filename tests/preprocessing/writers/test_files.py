import json
import os
from pathlib import Path

import pytest
from PIL import Image

from keras_retinanet.errors import InputError
from keras_retinanet.preprocessing.dataset import checked, make_record
from keras_retinanet.preprocessing.writers import WRITERS
from keras_retinanet.preprocessing.writers.files import image_names


def test_pictures_of_one_name_are_numbered():
    paths = ["a/x.jpg", "b/x.jpg", "c/X.png", "d/x_2.jpg", "e/.y.jpg", "f/x\n y .jpg", " .jpg"]
    names = image_names([make_record(path, path) for path in paths], taken=["z.txt"])
    assert names == ["x.jpg", "x_2.jpg", "X_3.png", "x_2_2.jpg", "y.jpg", "x_ y.jpg", "jpg"]
    assert image_names([make_record("x.jpg", 1)], taken=["X.txt", "x_2.xml"]) == ["x_3.jpg"]


@pytest.mark.parametrize("kind", ["pascal", "kitti"])
def test_sets_with_one_folder_of_pictures_have_pictures_of_different_names(
    kind, data, tmp_path, write, place
):
    write(kind, data, tmp_path / "out", "train")
    write(kind, data, tmp_path / "out", "val")
    pictures = {path.name for path in (tmp_path / "out" / place[kind]).iterdir()}
    assert pictures == {"full.png", "empty.jpg", "full_2.png", "empty_2.jpg"}


@pytest.mark.parametrize("kind", WRITERS)
def test_nothing_is_written_twice(kind, data, tmp_path, write, files_in):
    write(kind, data, tmp_path / "out")
    before = files_in(tmp_path / "out")
    with pytest.raises(InputError, match="choose another folder"):
        write(kind, data, tmp_path / "out")
    assert files_in(tmp_path / "out") == before


@pytest.mark.parametrize("kind", ["csv", "coco", "oid", "yolo"])
def test_the_folder_of_a_set_holds_no_other_pictures(kind, data, tmp_path, write, place):
    other = tmp_path / place[kind] / "other.jpg"
    other.parent.mkdir(parents=True)
    other.touch()
    with pytest.raises(InputError, match=r"other\.jpg is in the way"):
        write(kind, data, tmp_path)


@pytest.mark.parametrize("kind", WRITERS)
def test_the_pictures_that_are_read_are_left_alone(
    kind, source, tmp_path, write, dataset, files_in, place
):
    home = tmp_path / "out" / place[kind]
    home.parent.mkdir(parents=True)
    source.rename(home)
    data = checked(dataset(make_record(home / "full.png", 1)), need_boxes=False)
    with pytest.raises(InputError, match="holds the input images"):
        write(kind, data, tmp_path / "out")
    assert set(files_in(tmp_path / "out" / place[kind])) == {"full.png", "empty.jpg"}


@pytest.mark.parametrize("kind", WRITERS)
def test_linked_pictures_are_the_same_file(kind, data, source, tmp_path, write, place):
    write(kind, data, tmp_path / "out", image_files="link")
    assert (tmp_path / "out" / place[kind] / "full.png").samefile(source / "full.png")


def test_pictures_that_cannot_be_linked_are_copied(
    data, source, tmp_path, monkeypatch, write, place
):
    def refuse(*_):
        raise OSError("another disk")

    monkeypatch.setattr(os, "link", refuse)
    write("csv", data, tmp_path / "out", image_files="link")
    copy = tmp_path / "out" / place["csv"] / "full.png"
    assert not copy.samefile(source / "full.png")
    assert copy.read_bytes() == (source / "full.png").read_bytes()


def test_a_link_to_a_picture_is_followed(source, tmp_path, write, dataset):
    (source / "link.png").symlink_to("full.png")
    data = checked(dataset(make_record(source / "link.png", 1)), need_boxes=False)
    write("csv", data, tmp_path / "out", image_files="link")
    assert not (tmp_path / "out/images/train/link.png").is_symlink()


def test_without_pictures_files_name_those_that_are_there(
    data, source, tmp_path, monkeypatch, write, dataset
):
    monkeypatch.chdir(tmp_path)
    records = [make_record(Path("source/full.png"), 1, [(1, 2, 3, 4)], [0], size=(40, 20))]
    for kind in ("csv", "coco"):
        write(kind, dataset(*records), tmp_path / kind, image_files="none")
    assert (tmp_path / "csv/train.csv").read_text() == f"{source}/full.png,1,2,3,4,cat\n"
    text = (tmp_path / "coco/annotations/instances_train.json").read_text()
    assert json.loads(text)["images"][0]["file_name"] == f"{source}/full.png"
    assert not (tmp_path / "csv/images").exists()


@pytest.mark.parametrize("kind", ["pascal", "kitti", "oid", "yolo"])
def test_formats_that_cannot_name_a_path_need_the_pictures(kind, data, tmp_path, write):
    with pytest.raises(InputError, match="copy or link here, got 'none'"):
        write(kind, data, tmp_path / "out", image_files="none")


@pytest.mark.parametrize("kind", ["kitti", "oid", "yolo"])
def test_pictures_that_are_found_by_their_ending_have_one(kind, source, tmp_path, write, dataset):
    Image.new("L", (40, 20)).save(source / "a.gif")
    data = dataset(make_record(source / "a.gif", 1, size=(40, 20)))
    with pytest.raises(InputError, match=r"a\.gif: .* \.jpg"):
        write(kind, data, tmp_path / "out")


@pytest.mark.parametrize("kind", ["csv", "oid", "yolo"])
def test_the_sets_of_a_folder_have_the_same_classes(kind, data, tmp_path, write, dataset, files_in):
    write(kind, data, tmp_path / "out")
    before = files_in(tmp_path / "out")
    other = dataset(*data.records, names=["dog", "cat"])
    with pytest.raises(InputError, match="other classes"):
        write(kind, other, tmp_path / "out", "val")
    assert files_in(tmp_path / "out") == before


def test_a_path_that_no_row_can_hold_is_refused(dataset, write, tmp_path):
    for name in ("a\nb.png", "a.png ", "\udce4.png"):
        data = dataset(make_record(tmp_path / name, 1, size=(40, 20)))
        with pytest.raises(InputError, match="row of text"):
            write("csv", data, tmp_path / "out", image_files="none")
