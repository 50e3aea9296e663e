"""retinanet-detect: which images, what is written, and what is refused."""

import csv
import io
import json
import re
import shutil
import sys

import numpy as np
import pytest
from PIL import Image

from keras_retinanet.bin import detect
from keras_retinanet.detection_files import output_names
from keras_retinanet.errors import InputError
from keras_retinanet.sources import find_images

pytestmark = pytest.mark.usefixtures("load_once")


def run(*args):
    detect.main([str(arg) for arg in args])


@pytest.fixture
def refuse_detection(refuse, detector, tmp_path):
    def run(*sources):
        return refuse(detect.main, detector, *sources, "--output", tmp_path / "out")

    return run


@pytest.fixture
def picture(sample, tmp_path):
    """An image that the detector knows at its own place, without losses."""
    path = tmp_path / "pictures" / "known.png"
    path.parent.mkdir()
    Image.open(sample / "images" / "train" / "00000.jpg").save(path)
    return path


def found(detector, *sources, folder):
    """{file name: [(box, score, category)]} of the JSON that the command writes."""
    run(detector, *sources, "--json", folder / "found.json")
    rows = {}
    for row in json.loads((folder / "found.json").read_text()):
        rows.setdefault(row["file_name"], []).append(
            [*row["bbox"], row["score"], row["category_id"]]
        )
    return rows


def test_pictures_and_results_of_a_folder(sample, detector, tmp_path, capsys):
    folder = sample / "images" / "train"
    out = tmp_path / "new" / "out"
    run(detector, folder, "--output", out, "--json", tmp_path / "deep" / "found.json")
    assert sorted(path.name for path in out.iterdir()) == [f"{i:05d}.png" for i in range(6)]
    rows = json.loads((tmp_path / "deep" / "found.json").read_text())
    assert "6 images" in capsys.readouterr().out
    assert {"image_id", "category_id", "bbox", "score"} <= set(rows[0])
    assert {row["category_id"] for row in rows} <= {1, 2, 3, 4}
    assert all(row["score"] >= 0.5 for row in rows)
    for row in rows:
        x, y, width, height = row["bbox"]
        assert 0 <= x < x + width <= 64
        assert 0 <= y < y + height <= 64
        assert row["file_name"] == str(folder / f"{row['image_id'] - 1:05d}.jpg")
    for path in out.iterdir():
        before = np.asarray(Image.open(folder / f"{path.stem}.jpg"), int)
        after = np.asarray(Image.open(path), int)
        assert before.shape == after.shape
        drawn = (np.abs(before - after).max(axis=-1) > 50).any()
        assert drawn == any(row["file_name"].endswith(f"{path.stem}.jpg") for row in rows)


def test_pictures_of_another_size(sample, detector, tmp_path, refuse):
    """At twice its size the same image has other scores, boxes in its own pixels as before."""
    path = sample / "images" / "train" / "00000.jpg"
    [(_, rows)] = found(detector, path, folder=tmp_path).items()
    [(_, same)] = found(detector, path, "--no-resize", folder=tmp_path).items()
    assert same == rows  # of 64 px, as the model was trained
    double = ["--image-min-side", "128", "--image-max-side", "128", "--score-threshold", "0.05"]
    [(_, large)] = found(detector, path, *double, folder=tmp_path).items()
    assert large != rows
    assert all(row[0] >= 0 and row[0] + row[2] <= 64 for row in large)
    message = refuse(detect.main, detector, path, *double[:2], "--json", tmp_path / "a.json")
    assert "--image-min-side (128) must not exceed --image-max-side (64)" in message


def test_it_finds_what_it_learned(sample, detector, tmp_path):
    path = sample / "images" / "train" / "00000.jpg"
    [(_, rows)] = found(detector, path, folder=tmp_path).items()
    truth = [line.split(",") for line in (sample / "train.csv").read_text().splitlines()]
    truth = [[int(value) for value in row[1:5]] for row in truth if row[0].endswith("00000.jpg")]
    assert truth
    for x1, y1, x2, y2 in truth:
        near = [row for row in rows if np.allclose(row[:4], (x1, y1, x2 - x1, y2 - y1), atol=6)]
        assert near


def test_sources_are_files_folders_and_globs(tmp_path):
    for name in ("b.jpg", "a.PNG", "c.txt", "sub/d.webp", "[x].jpg", "._b.jpg"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("")
    place = str(tmp_path)

    def names(*sources):
        paths = find_images([f"{place}{source}" for source in sources])
        return [path.removeprefix(place) for path in paths]

    assert names("") == ["/[x].jpg", "/a.PNG", "/b.jpg"]
    assert names("/*.jpg") == ["/[x].jpg", "/b.jpg"]
    assert names("/**/*.webp") == ["/sub/d.webp"]
    assert names("/c.txt", "/b.jpg", "/b.jpg") == ["/c.txt", "/b.jpg"]
    assert names("/[x].jpg") == ["/[x].jpg"]  # a name before a pattern
    for missing in ("/none.jpg", "/*.gif"):
        with pytest.raises(InputError, match=re.escape(f"{missing} has no images")):
            names(missing)


def test_names_that_repeat_are_numbered():
    names = output_names(["x/a.jpg", "y/a.png", "a_2.jpg", "z/a.jpg", "b.c.jpg"])
    assert names == ["a.png", "a_2.png", "a_2_2.png", "a_3.png", "b.c.png"]
    assert output_names([]) == []


def test_equal_names_from_two_folders_stay_apart(sample, detector, tmp_path):
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        shutil.copy(sample / "images" / "train" / "00001.jpg", tmp_path / name / "a.jpg")
    run(detector, tmp_path / "one", tmp_path / "two", "--output", tmp_path / "out")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["a.png", "a_2.png"]


def test_unicode_names(picture, detector, tmp_path):
    path = picture.rename(picture.with_name("Füße 犬 é.png"))
    rows = found(detector, path, folder=tmp_path)
    assert list(rows) == [str(path)]
    run(detector, path, "--output", tmp_path / "ausgänge")
    assert (tmp_path / "ausgänge" / "Füße 犬 é.png").exists()


def test_pictures_of_all_kinds_give_the_same(picture, detector, tmp_path):
    image = Image.open(picture)
    alpha = image.copy()
    alpha.putalpha(200)
    alpha.save(picture.with_name("alpha.png"))
    grey = image.convert("L")
    grey.save(picture.with_name("grey.png"))
    grey.convert("RGB").save(picture.with_name("three_greys.png"))
    exif = Image.Exif()
    exif[0x0112] = 6  # upright after a quarter turn clockwise
    image.transpose(Image.Transpose.ROTATE_90).save(picture.with_name("turned.png"), exif=exif)
    rows = found(detector, picture.parent, folder=tmp_path)
    rows = {path.split("/")[-1]: values for path, values in rows.items()}
    assert rows["known.png"]
    for name, same in (("alpha", "known"), ("turned", "known"), ("grey", "three_greys")):
        assert np.allclose(rows.get(f"{name}.png", []), rows.get(f"{same}.png", []), atol=1e-3)
    run(detector, picture.parent / "turned.png", "--output", tmp_path / "out")
    run(detector, picture, "--output", tmp_path / "out")
    turned, known = (
        np.asarray(Image.open(tmp_path / "out" / f"{n}.png")) for n in ("turned", "known")
    )
    assert np.array_equal(turned, known)


def test_pictures_of_other_sizes_are_fitted_and_boxes_come_back(picture, detector, tmp_path):
    small = found(detector, picture, folder=tmp_path)[str(picture)]
    large = picture.with_name("large.png")
    Image.open(picture).resize((256, 192), Image.Resampling.BILINEAR).save(large)
    rows = found(detector, large, folder=tmp_path)[str(large)]
    assert len(rows) >= 1
    # the model sees 64 x 48 px of it, so it need not find all; what it finds is in 256 x 192 px
    assert max(row[0] + row[2] for row in rows) > 64
    assert all(row[0] + row[2] <= 256 and row[1] + row[3] <= 192 for row in rows)
    assert len(small) >= 1


def test_thresholds_and_limits(sample, detector, tmp_path):
    path = sample / "images" / "train" / "00000.jpg"
    run(detector, path, "--json", tmp_path / "few.json", "--max-detections", "1")
    assert len(json.loads((tmp_path / "few.json").read_text())) == 1
    run(detector, path, "--json", tmp_path / "none.json", "--score-threshold", "1")
    assert json.loads((tmp_path / "none.json").read_text()) == []


@pytest.mark.parametrize("option", [(), ("--convert-model",)])
def test_a_training_model_detects_alike(picture, snapshot, detector, tmp_path, option):
    rows = found(snapshot, picture, *option, folder=tmp_path)
    assert rows == found(detector, picture, folder=tmp_path)


def test_each_image_is_read_once(picture, detector, tmp_path, monkeypatch):
    from keras_retinanet import model_input as module

    read, paths = module.read_image_rgb, []
    monkeypatch.setattr(module, "read_image_rgb", lambda path: [paths.append(path), read(path)][1])
    run(detector, picture, "--output", tmp_path / "out", "--json", tmp_path / "found.json")
    assert paths == [str(picture)]


def test_the_nms_of_a_training_model(picture, snapshot, tmp_path):
    def scores(*options):
        out = tmp_path / "found.json"
        args = ("--score-threshold", "0.1", *options, "--json", out)
        run(snapshot, picture, *args)
        return sorted(row["score"] for row in json.loads(out.read_text()))

    hard, none = scores(), scores("--nms", "none")
    assert scores("--nms", "hard") == hard
    assert len(none) > len(hard)
    assert scores("--nms-threshold", "1") == none
    # with a large sigma next to nothing is suppressed, with a small one much
    large, small = (sum(scores("--nms", f"soft_gaussian:sigma={s}")) for s in (1000, 0.01))
    assert small < large < sum(none)
    assert large == pytest.approx(sum(none), rel=0.1)


def test_nms_of_inference_model_can_be_chosen(picture, detector, tmp_path):
    def count(*options):
        path = tmp_path / "x.json"
        run(detector, picture, "--score-threshold", "0.05", "--json", path, *options)
        return len(json.loads(path.read_text()))

    assert count("--nms", "none") > count() == count("--nms", "hard", "--nms-threshold", "0.5")
    assert count("--nms-threshold", "1") == count("--nms", "none")


# broken images


@pytest.mark.filterwarnings("always:::keras_retinanet")
def test_broken_pictures_are_left_out(
    picture, break_picture, refuse, refuse_detection, detector, tmp_path, capsys
):
    cut = picture.with_name("cut.png")
    cut.write_bytes(picture.read_bytes()[:500])
    spoilt = break_picture(picture.with_name("spoilt.png"))
    (picture.parent / "text.jpg").write_text("no picture")
    out = tmp_path / "some"
    run(detector, picture.parent, "--output", out, "--json", tmp_path / "found.json")
    warned = [line for line in capsys.readouterr().err.splitlines() if "warning: " in line]
    assert len([line for line in warned if "3 of 4 images" in line and "cut.png" in line]) == 1
    assert [path.name for path in out.iterdir()] == ["known.png"]
    assert {row["file_name"] for row in json.loads((tmp_path / "found.json").read_text())} == {
        str(picture)
    }

    assert "cut.png" in refuse_detection("--strict", picture, cut)
    assert "spoilt.png" in refuse_detection("--strict", picture, spoilt)
    assert "cut.png" in refuse_detection(cut)
    assert "spoilt.png" in refuse_detection(spoilt)
    assert [path.name for path in (tmp_path / "out").glob("*")] == ["known.png"]


# what it refuses


def test_sources_without_pictures(refuse_detection, tmp_path):
    (tmp_path / "empty").mkdir()
    assert "none.jpg has no images" in refuse_detection(tmp_path / "none.jpg")
    assert "empty has no images" in refuse_detection(tmp_path / "empty")
    assert "*.gif has no images" in refuse_detection(tmp_path / "*.gif")


def test_models_that_cannot_detect(refuse, other_keras_file, picture, tmp_path):
    out = tmp_path / "found.json"
    out.write_text("kept")
    text = tmp_path / "text.keras"
    text.write_text("no model")
    for model, message in (
        (tmp_path / "missing.keras", "no such file"),
        (text, "not a .keras file"),
        (other_keras_file, "holds a Sequential"),
        (tmp_path, "is a folder"),
    ):
        refused = refuse(detect.main, model, picture, "--json", out)
        assert str(model) in refused
        assert message in refused
    assert out.read_text() == "kept"


def test_pictures_are_not_overwritten(refuse, detector, picture):
    before = picture.read_bytes()
    message = refuse(detect.main, detector, picture.parent, "--output", picture.parent)
    assert str(picture.parent) in message
    message = refuse(detect.main, detector, picture, "--output", picture.parent / "x" / "..")
    assert picture.read_bytes() == before


def test_another_picture_in_the_folder_of_the_sources_is_safe(refuse, sample, detector, tmp_path):
    path = shutil.copy(sample / "images" / "train" / "00000.jpg", tmp_path / "a.jpg")
    (tmp_path / "a.png").write_bytes(b"another picture")
    assert "holds input images" in refuse(detect.main, detector, path, "--output", tmp_path)
    assert (tmp_path / "a.png").read_bytes() == b"another picture"


def test_places_that_cannot_be_written(refuse, detector, picture, tmp_path):
    taken = tmp_path / "taken"
    taken.write_text("kept")
    for option, path in (("--output", taken), ("--json", taken / "x.json"), ("--json", tmp_path)):
        assert str(tmp_path) in refuse(detect.main, detector, picture, option, path)
    assert taken.read_text() == "kept"
    (tmp_path / "out" / "known.png").mkdir(parents=True)
    message = refuse(detect.main, detector, picture, "--output", tmp_path / "out")
    assert "known.png is not a regular file" in message


def test_something_must_be_asked_for(refuse, detector, picture):
    assert "give --output DIR, --json FILE" in refuse(detect.main, detector, picture)


# other sources and results


@pytest.fixture
def video(tmp_path, sample):
    """A video of 6 frames of 64 x 64 px."""
    import cv2

    path = tmp_path / "clip.mp4"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), 5, (64, 64))
    for index in range(6):
        image = cv2.imread(str(sample / "images" / "train" / f"{index % 3:05d}.jpg"))
        writer.write(cv2.resize(image, (64, 64)))
    writer.release()
    return path


def test_video_is_detected_and_drawn(detector, video, tmp_path):
    import cv2

    out, lines = tmp_path / "out", tmp_path / "found.jsonl"
    run(detector, video, "--output", out, "--jsonl", lines, "--score-threshold", "0.1")
    found = [json.loads(line) for line in lines.read_text().splitlines()]
    assert [each["image"] for each in found] == [f"clip.mp4#{number}" for number in range(1, 7)]
    assert any(each["detections"] for each in found)
    capture = cv2.VideoCapture(str(out / "clip.mp4"))
    assert capture.get(cv2.CAP_PROP_FRAME_COUNT) == 6
    assert capture.get(cv2.CAP_PROP_FPS) == 5


def test_all_results_hold_the_same_objects(detector, picture, tmp_path):
    names = {"--json": "a.json", "--jsonl": "a.jsonl", "--csv": "a.csv", "--yolo": "labels"}
    options = [str(part) for flag, name in names.items() for part in (flag, tmp_path / name)]
    run(detector, picture, "--score-threshold", "0.1", *options)
    coco = json.loads((tmp_path / "a.json").read_text())
    [line] = map(json.loads, (tmp_path / "a.jsonl").read_text().splitlines())
    with open(tmp_path / "a.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    yolo = (tmp_path / "labels" / "known.txt").read_text().split("\n")[:-1]
    assert len(coco) == len(line["detections"]) == len(rows) == len(yolo) > 0
    width, height = Image.open(picture).size
    for one, other, row, text in zip(coco, line["detections"], rows, yolo, strict=True):
        x, y, w, h = one["bbox"]
        assert other["box"] == pytest.approx([x, y, x + w, y + h], abs=0.01)
        assert [float(row[key]) for key in ("x1", "y1", "x2", "y2")] == other["box"]
        label, *values = map(float, text.split())
        assert label == other["label"] == one["category_id"] - 1
        expected = [(x + w / 2) / width, (y + h / 2) / height, w / width, h / height, one["score"]]
        assert values == pytest.approx(expected, abs=1e-3)
        assert row["class"] == other["class"]


def test_image_on_standard_input(detector, picture, monkeypatch, capsys):
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(picture.read_bytes())))
    run(detector, "-", "--jsonl", "-", "--score-threshold", "0.1")
    [line] = capsys.readouterr().out.splitlines()  # nothing else there
    assert json.loads(line)["image"] == "stdin"
    assert json.loads(line)["detections"]


def test_no_objects_are_no_error(detector, picture, tmp_path, capsys):
    files = ["--json", tmp_path / "a.json", "--csv", tmp_path / "a.csv"]
    run(detector, picture, "--score-threshold", "1", *files)
    assert "--score-threshold" in capsys.readouterr().out
    assert json.loads((tmp_path / "a.json").read_text()) == []
    assert len((tmp_path / "a.csv").read_text().splitlines()) == 1


def test_classes_and_their_thresholds(detector, picture, tmp_path, refuse_detection):
    def found(*options):
        path = tmp_path / "a.jsonl"
        run(detector, picture, "--score-threshold", "0.05", "--jsonl", path, *options)
        return json.loads(path.read_text())["detections"]

    everything = found()
    names = {each["class"] for each in everything}
    assert len(names) > 1
    one = sorted(names)[0]
    assert found("--classes", one) == [each for each in everything if each["class"] == one]
    strict = found("--class-thresholds", f"{one}=1")
    assert strict == [each for each in everything if each["class"] != one]
    assert "ball, crate, tent, star" in refuse_detection(picture, "--classes", "cat")


def test_sources_that_cannot_be_read(refuse_detection, tmp_path):
    (tmp_path / "broken.mp4").write_bytes(b"no video")
    assert "broken.mp4" in refuse_detection(tmp_path / "broken.mp4")
    assert "missing.mp4" in refuse_detection(tmp_path / "missing.mp4")
    assert "camera:99" in refuse_detection("camera:99")


def test_missing_tracker_names_pip_command(refuse_detection, picture, monkeypatch):
    monkeypatch.setitem(sys.modules, "supervision", None)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert "pip install 'keras-retinanet[track]'" in refuse_detection(picture, "--track")
