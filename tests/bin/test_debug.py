"""retinanet-debug: what the images show, and where they are written."""

import cv2
import numpy as np
import pytest

from keras_retinanet.bin import debug
from keras_retinanet.utils.image import read_image_bgr


@pytest.fixture
def show(sample, tmp_path):
    """Runs the command on the training set, and gives the folder it wrote to."""

    def run(*options, data=None):
        data = data or [sample / "train.csv", sample / "classes.csv"]
        out = tmp_path / "out"
        sides = ["--image-min-side=64", "--image-max-side=64", f"--config={sample}/anchors.ini"]
        debug.main([*sides, "--no-gui", f"--output-dir={out}", *options, "csv", *map(str, data)])
        return out

    return run


def has(image, colour):
    return (np.abs(image.astype(int) - colour).max(axis=-1) < 3).any()


def test_a_picture_for_each_and_a_contact_sheet(show, sample, capsys):
    out = show()
    names = sorted(path.name for path in out.iterdir())
    assert names == sorted([debug.SHEET, *(f"{i:05d}.png" for i in range(6))])
    sheet = cv2.imread(str(out / debug.SHEET))
    assert sheet.shape == (2 * 320, 4 * 320, 3)  # 6 images, 4 in a row
    assert "6 images with" in capsys.readouterr().out


def test_boxes_with_an_anchor_are_green_and_those_without_red(show, csv_data, capsys):
    # anchors of 16 px reach a box of 16 px and not one of 2 px
    data = csv_data("a.jpg,20,20,36,36,ball\nb.jpg,30,30,32,32,ball\nc.jpg,,,,,\n")[1:]
    out = show(data=data)
    reached, missed, empty = (read_image_bgr(out / f"{name}.png") for name in "abc")
    assert has(reached, debug.GREEN)
    assert not has(reached, debug.RED)
    assert has(missed, debug.RED)
    assert not has(missed, debug.GREEN)
    assert not has(empty, debug.RED)
    assert "3 images with 2 boxes, 1 of them without an anchor" in capsys.readouterr().out


def test_anchors_are_drawn_on_request(show, csv_data):
    data = csv_data("a.jpg,21,21,37,37,ball\n")[1:]
    assert not has(read_image_bgr(show(data=data) / "a.png"), debug.YELLOW)
    assert has(read_image_bgr(show("--anchors", data=data) / "a.png"), debug.YELLOW)


def test_pictures_are_as_training_sees_them(show, csv_data, sample, tmp_path):
    data = csv_data("a.jpg,,,,,\n")[1:]
    flipped = read_image_bgr(show("--augment", "flip:chance=1", data=data) / "a.png")
    assert np.array_equal(flipped, read_image_bgr(tmp_path / "a.jpg")[:, ::-1])


def test_the_number_is_limited_and_folders_kept_unless_flattened(show, csv_data, tmp_path):
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
    csv_data("")
    (tmp_path / "a.jpg").rename(tmp_path / "one" / "x.jpg")
    (tmp_path / "b.jpg").rename(tmp_path / "two" / "x.jpg")
    data = csv_data("one/x.jpg,,,,,\ntwo/x.jpg,,,,,\nc.jpg,,,,,\n")[1:]
    out = show("--number=2", data=data)
    assert sorted(str(path.relative_to(out)) for path in out.rglob("x*.png")) == [
        "one/x.png",
        "two/x_2.png",
    ]
    out = show("--flatten-output", data=data)
    assert (out / "x.png").is_file()
    assert (out / "x_2.png").is_file()


def test_without_a_window_the_sentence_says_what_to_install(refuse, sample, monkeypatch):
    def none(*_):
        raise cv2.error("no GUI")

    monkeypatch.setattr(cv2, "imshow", none)
    sides = ["--image-min-side=64", "--image-max-side=64"]
    message = refuse(debug.main, *sides, "csv", sample / "train.csv", sample / "classes.csv")
    assert "pip uninstall -y opencv-python-headless" in message
    assert "pip install opencv-python" in message


def test_keys_lead_through_the_pictures(sample, monkeypatch):
    shown = []
    keys = iter("nnbxq")
    monkeypatch.setattr(cv2, "imshow", lambda _, image: shown.append(image.copy()))
    monkeypatch.setattr(cv2, "waitKey", lambda _: ord(next(keys)))
    sides = ["--image-min-side=64", "--image-max-side=64", "--augment=colour:chance=1"]
    debug.main([*sides, "csv", str(sample / "train.csv"), str(sample / "classes.csv")])
    assert len(shown) == 5
    assert not np.array_equal(shown[3], shown[4])  # x: the same image after other changes


def test_the_pictures_themselves_are_safe(refuse, sample):
    folder = sample / "images" / "train"
    data = [sample / "train.csv", sample / "classes.csv"]
    assert str(folder) in refuse(debug.main, "--no-gui", "--output-dir", folder, "csv", *data)


def test_pictures_in_folders_below_the_output_are_safe_too(refuse, csv_data, tmp_path):
    (tmp_path / "in").mkdir()
    csv_data("")
    (tmp_path / "a.jpg").rename(tmp_path / "in" / "a.jpg")
    (tmp_path / "boxes.csv").write_text("in/a.jpg,,,,,\nb.jpg,,,,,\n")
    data = ["csv", tmp_path / "boxes.csv", "--no-gui", "--output-dir"]
    assert "choose a new folder" in refuse(debug.main, *data, tmp_path)
    (tmp_path / debug.SHEET).write_text("as if written before")
    assert "holds input images" in refuse(debug.main, *data, tmp_path)
    assert not (tmp_path / "in" / "a.png").exists()


def test_only_its_own_folder_is_written_again(show, refuse, sample, tmp_path):
    show("--number=1")
    show("--number=1")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "00000.png").write_text("kept")
    data = [sample / "train.csv", sample / "classes.csv"]
    message = refuse(debug.main, "--no-gui", "--output-dir", tmp_path / "mine", "csv", *data)
    assert "choose a new folder" in message
    assert (tmp_path / "mine" / "00000.png").read_text() == "kept"


@pytest.mark.parametrize(
    "wrong",
    [
        "atss:top_k=1.5",
        "atss:top_k=None",
        "atss:top_k=0",
        "iou:positive_overlap='a'",
        "iou:positive_overlap=(1,2)",
        "iou:negative_overlap=None",
        "iou:positive_overlap=0.3,negative_overlap=0.5",
    ],
)
def test_arguments_of_assigners_are_checked_as_in_training(refuse, wrong):
    message = refuse(debug.main, "--no-gui", "--assigner", wrong, "csv", "nowhere.csv")
    assert wrong.split(":")[0] in message
    assert wrong.split("=")[0].split(":")[1] in message


def test_after_an_interruption_the_same_command_works(sample, refuse, tmp_path, monkeypatch):
    from keras_retinanet.utils import image

    out = tmp_path / "out"
    args = ["--no-gui", "--output-dir", str(out), "csv"]
    args += [str(sample / "train.csv"), str(sample / "classes.csv")]
    write, written = image.write_image_bgr, []

    def stop(path, pixels):
        write(path, pixels)
        written.append(path)
        if len(written) == 3:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(image, "write_image_bgr", stop)
        with pytest.raises(SystemExit) as stopped:
            debug.main(args)
    assert stopped.value.code == 130
    assert not list(out.iterdir())
    debug.main(args)
    assert (out / "contact_sheet.jpg").is_file()
