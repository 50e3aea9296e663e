"""Files are written whole or not at all, and a message names the one that could not be."""

import contextlib
import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from keras_retinanet.errors import InputError
from keras_retinanet.utils import outputs

ROOT = str(Path(__file__).parents[2])


def write_and_fail(folder):
    with outputs.all_or_none():
        with outputs.all_or_none():
            outputs.write_text(folder / "kept.txt", "after")
            outputs.write_text(folder / "a" / "b" / "new.txt", "new")
        outputs.copy_file(folder / "source", folder / "copy")
        outputs.copy_file(folder / "source", folder / "link", link=True)
        assert os.path.samefile(folder / "source", folder / "link")
        assert len(list(folder.rglob("*"))) == 7
        raise ZeroDivisionError


def test_a_failed_block_leaves_everything_as_it_was(tmp_path):
    (tmp_path / "source").write_text("image")
    (tmp_path / "kept.txt").write_text("before")
    with pytest.raises(ZeroDivisionError):
        write_and_fail(tmp_path)
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["kept.txt", "source"]
    assert (tmp_path / "kept.txt").read_text() == "before"
    assert (tmp_path / "source").read_text() == "image"


def test_a_block_that_ends_well_keeps_what_it_wrote(tmp_path):
    with outputs.all_or_none(), outputs.all_or_none():
        outputs.write_text(tmp_path / "a" / "new.txt", "\ud800")
    assert (tmp_path / "a" / "new.txt").read_text() == "\\ud800"


def test_a_missing_source_is_named_and_not_the_target(tmp_path):
    with pytest.raises(FileNotFoundError) as caught:
        outputs.copy_file(tmp_path / "gone", tmp_path / "copy")
    assert caught.value.filename == str(tmp_path / "gone")


def test_names_of_255_characters_can_be_written(tmp_path):
    path = tmp_path / ("é" * 125 + ".json")
    outputs.write_text(path, "{}")
    assert path.read_text() == "{}"


def test_a_file_cannot_be_a_folder(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match=r"file/a/b\.txt cannot be written"):
        outputs.write_text(tmp_path / "file" / "a" / "b.txt", "")


def test_a_folder_is_filled_with_finished_files(tmp_path):
    out = tmp_path / "out"
    (out / "a").mkdir(parents=True)
    (out / "a" / "old.txt").write_text("old")
    (out / "mine.txt").write_text("kept")
    with outputs.filling(out) as part:
        (part / "a" / "b").mkdir(parents=True)
        (part / "a" / "old.txt").write_text("new")
        (part / "a" / "b" / "more.txt").write_text("more")
        assert (out / "a" / "old.txt").read_text() == "old"
    files = {path.name: path.read_text() for path in tmp_path.rglob("*") if path.is_file()}
    assert files == {"old.txt": "new", "more.txt": "more", "mine.txt": "kept"}
    with contextlib.suppress(KeyboardInterrupt), outputs.filling(tmp_path / "stopped") as part:
        (part / "half.txt").write_text("half")
        raise KeyboardInterrupt
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def run(args, **options):
    return subprocess.Popen(
        [sys.executable, "-m", *map(str, args)],
        env={**os.environ, "PYTHONPATH": ROOT},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **options,
    )


def small_disk():
    """Let no file grow beyond 1,000 bytes, which fails as on a full disk."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000, 1_000))


@pytest.fixture(scope="module")
def rows(sample):
    return ["csv", sample / "train.csv", sample / "classes.csv"]


@pytest.mark.parametrize("form", ["csv", "coco", "pascal", "kitti", "oid", "yolo"])
def test_a_full_disk_names_the_file_and_leaves_nothing(form, rows, tmp_path):
    out = tmp_path / "out"
    args = ["keras_retinanet.bin.convert_dataset", *rows, form, out]
    process = run(args, preexec_fn=small_disk)
    errors = process.communicate()[1]
    assert process.returncode == 2, errors
    assert f"error: {out}" in errors
    assert "cannot be written: File too large." in errors
    assert not out.exists()
    process = run(args)
    assert (process.wait(), out.is_dir()) == (0, True)


def test_a_full_disk_leaves_an_older_report_and_an_empty_folder(rows, tmp_path):
    report = tmp_path / "report.html"
    report.write_text("older")
    common = ["keras_retinanet.bin.doctor", "--quick", *rows]
    for options, name in (
        ([f"--html={report}"], report),
        (["--no-html", "--fix", tmp_path / "fixed"], tmp_path / "fixed" / "images"),
    ):
        process = run([*common, *options], preexec_fn=small_disk)
        errors = process.communicate()[1]
        assert process.returncode == 2, errors
        assert f"error: {name}" in errors
        assert "cannot be written: File too large." in errors
    assert report.read_text() == "older"
    assert not list((tmp_path / "fixed").iterdir())


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_a_stopped_conversion_can_be_run_again(sent, rows, tmp_path):
    annotations = tmp_path / "many.csv"
    images = tmp_path / "images"
    images.mkdir()
    first = next(Path(rows[1]).parent.glob("images/train/*"))
    lines = []
    for i in range(4_000):
        os.link(first, images / f"{i}.jpg")
        lines.append(f"images/{i}.jpg,8,8,40,40,ball\n")
    annotations.write_text("".join(lines))
    out = tmp_path / "out"
    args = ["keras_retinanet.bin.convert_dataset", "csv", annotations, rows[2], "yolo", out]
    process = run(args, preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler))
    while not any(out.rglob("*.jpg")):
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(sent)
    errors = process.communicate()[1]
    assert (process.returncode, "Traceback" in errors) == (128 + sent, False)
    assert errors.endswith("\nretinanet-convert-dataset: stopped\n")
    assert not out.exists()
    assert run(args).wait() == 0
    assert len(list((out / "labels" / "train").iterdir())) == 4_000
