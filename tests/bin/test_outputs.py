"""No output of a command replaces an input, another output, or an irregular file."""

import contextlib
import json
import os
import shutil

import pytest

from keras_retinanet.bin import (
    convert_dataset,
    convert_model,
    debug,
    detect,
    doctor,
    evaluate,
    import_weights,
    train,
)
from keras_retinanet.preprocessing.dataset import checked
from keras_retinanet.preprocessing.readers import read_csv
from keras_retinanet.preprocessing.writers import WRITERS

CSV_FILES = ("train.csv", "classes.csv")
IMAGES = (".jpg", ".png")
FORMATS = [*WRITERS, "labelme", "cvat"]


def write_labelme(dataset, folder, split):
    for record in dataset.records:
        name = shutil.copy(record.path, folder).rpartition("/")[2]
        shapes = [
            {"label": dataset.class_names[label], "points": [box[:2], box[2:]]}
            for label, box in zip(record.labels, record.boxes.tolist(), strict=True)
        ]
        content = {"imagePath": name, "shapes": shapes}
        (folder / f"{name[:-4]}.json").write_text(json.dumps(content))


def write_cvat(dataset, folder, split):
    images = []
    for record in dataset.records:
        name = shutil.copy(record.path, folder).rpartition("/")[2]
        boxes = "".join(
            f'<box label="{dataset.class_names[label]}" xtl="{x1}" ytl="{y1}" xbr="{x2}" ybr="{y2}"'
            ' occluded="0"/>'
            for label, (x1, y1, x2, y2) in zip(record.labels, record.boxes.tolist(), strict=True)
        )
        images.append(f'<image id="{len(images)}" name="{name}" width="64" height="64">{boxes}')
    text = "".join(f"{image}</image>" for image in images)
    (folder / "annotations.xml").write_text(f"<annotations>{text}</annotations>")


@pytest.fixture(scope="module", params=FORMATS)
def data(request, sample, tmp_path_factory):
    """The folder of a data set in a format, and the arguments that name it."""
    kind = request.param
    folder = tmp_path_factory.mktemp(kind)
    dataset = checked(read_csv(str(sample / "val.csv"), str(sample / "classes.csv")))
    write = WRITERS.get(kind) or {"labelme": write_labelme, "cvat": write_cvat}[kind]
    write(dataset, folder, "val")
    if kind == "csv":
        return folder, ["csv", folder / "val.csv", folder / "classes.csv"]
    return folder, [kind, folder / "annotations.xml" if kind == "cvat" else folder]


def inputs_of(folder):
    """All annotation files of a folder, and one of the images."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    notes = [path for path in files if path.suffix not in IMAGES]
    return [*notes, next(path for path in files if path.suffix in IMAGES)]


@pytest.fixture
def refuse_output(refuse):
    """A command that must name its option and path, and leave all of a folder as it was."""

    def run(folder, main, option, path, *args):
        before = {file: file.read_bytes() for file in folder.rglob("*") if file.is_file()}
        message = refuse(main, option, path, *args)
        assert f"{option} {path}" in message
        assert {f: f.read_bytes() for f in folder.rglob("*") if f.is_file()} == before
        return message

    return run


@pytest.mark.parametrize("option", ["--html", "--write-config"])
def test_doctor_keeps_every_file_it_reads(data, option, refuse_output):
    folder, args = data
    assert inputs_of(folder)
    for path in inputs_of(folder):
        message = refuse_output(folder, doctor.main, option, path, "--quick", *args)
        assert "would overwrite an input file" in message


@pytest.mark.parametrize("option", ["--json", "--ground-truth", "--detections"])
def test_evaluate_keeps_every_file_it_reads(data, option, refuse_output, detector, load_once):
    folder, args = data
    for path in [*inputs_of(folder)[-3:], detector]:
        message = refuse_output(folder, evaluate.main, option, path, *args, detector)
        assert "would overwrite an input file" in message


def test_other_splits_of_the_folder_are_kept(coco_folder, refuse_output, detector, load_once):
    path = coco_folder / "annotations" / "instances_train2017.json"
    refuse_output(coco_folder, evaluate.main, "--json", path, coco_folder, detector)


@pytest.mark.parametrize("kind", FORMATS[1:6])
def test_files_of_splits_that_are_not_read_are_kept(kind, sample, refuse_output, tmp_path):
    folder = tmp_path / "data"
    for split in ("train", "val"):
        dataset = checked(read_csv(str(sample / f"{split}.csv"), str(sample / "classes.csv")))
        WRITERS[kind](dataset, folder, split)
    for option in ("--html", "--write-config"):
        for path in inputs_of(folder)[:-1]:
            refuse_output(folder, doctor.main, option, path, "--quick", "--set=val", kind, folder)


def test_annotations_beside_the_file_that_is_read_are_kept(sample, refuse_output, tmp_path):
    folder = shutil.copytree(sample, tmp_path / "data")
    args = ["--quick", "csv", folder / "val.csv", folder / "classes.csv"]
    refuse_output(folder, doctor.main, "--html", folder / "train.csv", *args)


def test_broken_files_are_kept(coco_folder, refuse_output, tmp_path):
    folder = shutil.copytree(coco_folder, tmp_path / "coco")
    path = folder / "annotations" / "instances_train2017.json"
    path.write_text(path.read_text().replace('"bbox"', '"box"', 1))
    refuse_output(folder, doctor.main, "--html", path, "--quick", folder)


def irregular(folder):
    """A device, a pipe, a link to a file, a link to nothing, and a folder."""
    os.mkfifo(folder / "pipe")
    (folder / "file").write_text("kept")
    (folder / "link").symlink_to(folder / "file")
    (folder / "dangling").symlink_to(folder / "nowhere")
    (folder / "folder").mkdir()
    return ["/dev/null", *(folder / name for name in ("pipe", "link", "dangling", "folder"))]


def test_only_regular_files_are_replaced(refuse_output, coco_folder, tmp_path):
    image = coco_folder / "images" / "val2017"
    commands = [
        (doctor.main, "--html", [coco_folder]),
        (doctor.main, "--write-config", [coco_folder]),
        (evaluate.main, "--json", [coco_folder, "no.keras"]),
        (evaluate.main, "--ground-truth", [coco_folder, "no.keras"]),
        (evaluate.main, "--detections", [coco_folder, "no.keras"]),
        (detect.main, "--json", ["no.keras", image]),
    ]
    for path in irregular(tmp_path):
        for main, option, args in commands:
            assert "is not a regular file" in refuse_output(tmp_path, main, option, path, *args)
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "pipe").is_fifo()


def test_models_are_not_written_to_what_is_no_file(refuse, tmp_path):
    paths = irregular(tmp_path)
    (tmp_path / "in.keras").write_text("kept")
    for index, path in enumerate(paths[1:]):
        named = path.rename(tmp_path / f"{index}.keras")
        for main, *args in (
            (convert_model.main, tmp_path / "in.keras", named),
            (import_weights.main, "torchvision", tmp_path / "in.keras", named),
        ):
            assert f"{named} is not a regular file" in refuse(main, *args)
    (tmp_path / "saved").mkdir()
    (tmp_path / "saved" / "saved_model.pb").symlink_to(tmp_path / "file")
    message = refuse(convert_model.main, tmp_path / "in.keras", tmp_path / "saved")
    assert "saved_model.pb is not a regular file" in message


def test_other_names_of_an_input_are_refused(refuse_output, coco_folder, tmp_path):
    folder = shutil.copytree(coco_folder, tmp_path / "coco")
    annotations = folder / "annotations" / "instances_val2017.json"
    hard, within = tmp_path / "hard.json", tmp_path / "link"
    os.link(annotations, hard)
    within.symlink_to(folder / "annotations")
    for path in (
        hard,
        within / annotations.name,
        folder / "images" / ".." / "annotations" / annotations.name,
        folder / "nowhere" / ".." / "annotations" / annotations.name,
    ):
        refuse_output(tmp_path, doctor.main, "--html", path, "--quick", folder)


def test_two_outputs_are_two_files(refuse, coco_folder, tmp_path):
    out = tmp_path / "x" / ".." / "out"
    for main, *args in (
        (doctor.main, "--html", tmp_path / "out", "--write-config", out, coco_folder),
        (evaluate.main, "--json", tmp_path / "out", "--detections", out, coco_folder, "no.keras"),
    ):
        assert "is the same file as" in refuse(main, *args)
    args = ["--fix", tmp_path / "new", "--html", tmp_path / "new" / "a.html", coco_folder]
    assert "--html" in refuse(doctor.main, *args)
    image = coco_folder / "images" / "val2017" / "00000.jpg"
    args = ["--output", tmp_path / "out", "--json", tmp_path / "out" / "00000.png"]
    assert "is the same file as" in refuse(detect.main, "no.keras", image, *args)
    assert not list(tmp_path.iterdir())


def test_images_that_links_lead_to_are_kept(refuse, sample, detector, load_once, tmp_path):
    image = sample / "images" / "val" / "00000.jpg"
    other = tmp_path / "mine.png"
    other.write_text("kept")
    out = tmp_path / "out"
    out.mkdir()
    for name in ("00000.png", "0.png", debug.SHEET):
        (out / name).symlink_to(other)
    rows = ["csv", sample / "val.csv", sample / "classes.csv"]
    for main, option, *args in (
        (detect.main, "--output", "no.keras", image),
        (evaluate.main, "--save-path", *rows, detector),
        (debug.main, "--output-dir", "--no-gui", *rows),
    ):
        assert "is not a regular file" in refuse(main, option, out, *args)
    assert other.read_text() == "kept"
    assert "holds input images" in refuse(
        evaluate.main, "--save-path", image.parent, *rows, detector
    )


def test_detect_keeps_its_model_and_images(refuse_output, coco_folder, tmp_path):
    (tmp_path / "a.keras").write_text("kept")
    images = shutil.copytree(coco_folder / "images" / "val2017", tmp_path / "images")
    for path in (tmp_path / "a.keras", images / "00000.jpg"):
        args = [tmp_path / "a.keras", images / "*.jpg"]
        refuse_output(tmp_path, detect.main, "--json", path, *args)


def test_import_keeps_its_class_file_and_anchors(refuse, tmp_path):
    path = tmp_path / "a.keras"
    path.write_text("kept")
    (tmp_path / "b.h5").write_text("kept")
    for option in ("--classes", "--config"):
        message = refuse(import_weights.main, "torchvision", tmp_path / "b.h5", path, option, path)
        assert f"OUT.keras {path} would overwrite" in message
    assert path.read_text() == "kept"


def test_convert_model_keeps_its_model_and_anchors(refuse, tmp_path):
    path = tmp_path / "a.keras"
    path.write_text("kept")
    for args in ((path, path), ("--config", path, tmp_path / "b.keras", path)):
        assert f"OUT {path} would overwrite an input file" in refuse(convert_model.main, *args)
    assert path.read_text() == "kept"


def test_training_keeps_the_weights_it_starts_from(refuse, tiny, snapshot, tmp_path):
    weights = shutil.copy(snapshot, tmp_path / "last.keras")
    before = weights.read_bytes()
    rows = [tiny[tiny.index("--config") + 1].replace("anchors.ini", n) for n in CSV_FILES]
    options = ["--weights", weights, "--snapshot-path", tmp_path.parent, "--run", tmp_path.name]
    message = refuse(train.main, *tiny, *options, "csv", *rows)
    assert f"{tmp_path} holds a training" in message
    assert weights.read_bytes() == before


@pytest.mark.parametrize("form", WRITERS)
@pytest.mark.filterwarnings("ignore::UserWarning:keras_retinanet")  # of what a format cannot say
def test_a_conversion_into_its_own_folder_only_adds_files(data, form, tmp_path):
    source, args = data
    folder = shutil.copytree(source, tmp_path / "data")
    args = [str(arg).replace(str(source), str(folder)) for arg in args]
    before = {file: file.read_bytes() for file in folder.rglob("*") if file.is_file()}
    with contextlib.suppress(SystemExit):
        convert_dataset.main([*args, form, str(folder)])
    assert {file: file.read_bytes() for file in before} == before


def test_the_repair_of_a_data_set_goes_to_a_new_folder(data, refuse):
    folder, args = data
    assert f"{folder} is not empty" in refuse(doctor.main, "--fix", folder, "--no-html", *args)


def test_debug_keeps_the_images_it_reads(data, refuse):
    folder, args = data
    image = inputs_of(folder)[-1]
    out = ["--no-gui", "--flatten-output", "--output-dir", image.parent]
    before = image.read_bytes()
    refuse(debug.main, *out, *args)
    assert image.read_bytes() == before


def test_convert_dataset_keeps_linked_and_read_files(refuse, sample, tmp_path):
    data = [sample / "val.csv", sample / "classes.csv"]
    first = tmp_path / "first"
    convert_dataset.main([*map(str, ["csv", *data, "yolo", first])])
    text = (first / "data.yaml").read_text()
    linked = tmp_path / "linked"
    linked.mkdir()
    (linked / "data.yaml").symlink_to(first / "data.yaml")
    message = refuse(convert_dataset.main, "csv", *data, "yolo", linked)
    assert "data.yaml is not a regular file" in message
    message = refuse(convert_dataset.main, first, "yolo", first)
    assert "data.yaml would overwrite an input file" in message
    assert (first / "data.yaml").read_text() == text


def test_training_does_not_replace_links(refuse_training, sample, tmp_path):
    (tmp_path / "mine.keras").write_text("kept")
    path = tmp_path / "snapshots" / "best.keras"
    path.parent.mkdir()
    path.symlink_to(tmp_path / "mine.keras")
    message = refuse_training("csv", sample / "train.csv", sample / "classes.csv")
    assert f"{path} is not a regular file" in message
    assert path.is_symlink()


def test_an_earlier_output_is_replaced(coco_folder, tmp_path):
    path = tmp_path / "anchors.ini"
    path.write_text("old")
    doctor.run(
        doctor.parse_args(["--quick", "--no-html", f"--write-config={path}", str(coco_folder)])
    )
    assert "sizes" in path.read_text()
    assert os.listdir(tmp_path) == ["anchors.ini"]
