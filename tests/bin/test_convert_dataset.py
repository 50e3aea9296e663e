"""retinanet-convert-dataset: all sets in another format, read back alike."""

import pytest

from keras_retinanet.bin import convert_dataset
from keras_retinanet.preprocessing.readers import READERS, SPLITS
from keras_retinanet.preprocessing.readers.recognise import kind_of

# of what a format cannot say
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:keras_retinanet")


def boxes_of(dataset):
    """The boxes of each image, as text, with their classes."""
    return sorted(
        sorted(
            (dataset.class_names[label], *map(round, box))
            for label, box in zip(record.labels, record.boxes.tolist(), strict=True)
        )
        for record in dataset.records
    )


@pytest.mark.parametrize("form", ["pascal", "oid", "yolo", "kitti"])
def test_all_sets_of_a_folder(form, coco_folder, tmp_path, capsys):
    from keras_retinanet.preprocessing.readers.coco import coco_paths

    out = tmp_path / "out"
    convert_dataset.main([str(coco_folder), form, str(out)])
    assert "train2017: read 6 images with" in capsys.readouterr().out
    assert kind_of(out) == form
    assert len(SPLITS[form](out)) == 2
    for name in ("train2017", "val2017"):
        known = next(found for found in SPLITS[form](out) if name.startswith(found))
        again = READERS[form](out, known)
        assert boxes_of(again) == boxes_of(READERS["coco"](*coco_paths(coco_folder, name)))


def test_one_set_of_any_name_becomes_train(coco_folder, tmp_path):
    annotations = coco_folder / "annotations" / "instances_val2017.json"
    source = tmp_path / "instances_default.json"
    source.write_text(annotations.read_text())
    images = coco_folder / "images" / "val2017"
    convert_dataset.main([str(source), "yolo", str(tmp_path / "out"), "--images", str(images)])
    assert list(SPLITS["yolo"](tmp_path / "out")) == ["train"]


def test_what_cannot_be_written_is_one_sentence(refuse, coco_folder, tmp_path):
    main = convert_dataset.main
    assert "invalid choice" in refuse(main, coco_folder, "labelme", tmp_path / "out")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "train2017.csv").write_text("mine")
    assert "train2017.csv" in refuse(main, coco_folder, "csv", tmp_path / "out")
    assert (tmp_path / "out" / "train2017.csv").read_text() == "mine"
    for flag in ("--image-files=none", "--pictures=none"):  # the second is the old name
        assert "image_files" in refuse(main, flag, coco_folder, "yolo", tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_nothing_is_written_where_a_later_set_cannot_be_read(refuse, csv_data, tmp_path):
    data = csv_data("a.jpg,8,8,40,40,ball\n")
    gone = tmp_path / "gone.csv"
    out = tmp_path / "out"
    refuse(convert_dataset.main, *data, "yolo", out, "--val-annotations", gone)
    assert not out.exists()
    gone.write_text("nowhere.jpg,8,8,40,40,ball\n")
    refuse(convert_dataset.main, *data, "yolo", out, "--val-annotations", gone)
    assert not out.exists()
