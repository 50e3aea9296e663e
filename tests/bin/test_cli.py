"""Parts that the commands share: errors and warnings on the terminal, numbers, configurations."""

import contextlib
import io
import json
import os
import subprocess
import sys
import time
import warnings
from pathlib import Path

import pytest
from PIL import Image

from keras_retinanet.bin import (
    cli,
    convert_dataset,
    convert_model,
    debug,
    detect,
    doctor,
    evaluate,
    train,
)
from keras_retinanet.errors import InputError
from keras_retinanet.models.loading import check_classes, load_retinanet
from keras_retinanet.options import check_sides
from keras_retinanet.utils.config import read_anchors

ROOT = str(Path(__file__).parents[2])
COMMANDS = {
    "retinanet-train": train,
    "retinanet-evaluate": evaluate,
    "retinanet-convert-model": convert_model,
    "retinanet-detect": detect,
    "retinanet-doctor": doctor,
    "retinanet-debug": debug,
    "retinanet-convert-dataset": convert_dataset,
}
REST = {  # what a command cannot do without
    "retinanet-train": ["coco", "x"],
    "retinanet-evaluate": ["coco", "x", "y"],
    "retinanet-convert-model": ["x", "y"],
    "retinanet-detect": ["x", "y", "--output", "z"],
    "retinanet-doctor": ["coco", "x"],
    "retinanet-debug": ["coco", "x"],
    "retinanet-convert-dataset": ["coco", "x", "csv", "y"],
}


def fail_with(error):
    with cli.user_errors("command"):
        raise error


def test_an_input_error_is_one_sentence_and_status_2(capsys):
    with pytest.raises(SystemExit) as stop:
        fail_with(InputError("boxes.csv: line 3: wrong"))
    assert stop.value.code == 2
    assert capsys.readouterr().err == "command: error: boxes.csv: line 3: wrong\n"


def test_a_file_that_cannot_be_used_is_one_sentence_too(capsys):
    with pytest.raises(SystemExit) as stop:
        fail_with(PermissionError(13, "Permission denied", "out.json"))
    assert stop.value.code == 2
    assert capsys.readouterr().err == "command: error: out.json: Permission denied\n"


def test_a_full_disk_is_one_sentence(capsys):
    with pytest.raises(SystemExit) as stop:
        fail_with(OSError(28, "No space left on device"))
    assert stop.value.code == 2
    assert capsys.readouterr().err == "command: error: No space left on device\n"


def test_a_reader_that_has_enough_ends_the_command_quietly():
    script = (
        "from keras_retinanet.bin.cli import user_errors\n"
        "with user_errors('command'):\n"
        "    for _ in range(99999): print('a line')"
    )
    command = f'{sys.executable} -c "{script}" | head -n 1'
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("a line\n", "")


def test_messages_are_one_line_of_text(capsys):
    with pytest.raises(SystemExit):
        fail_with(InputError("boxes\x1b[31m.csv:\n line 3: " + "x" * 5000))
    error = capsys.readouterr().err
    assert error.startswith("command: error: boxes?[31m.csv:  line 3: xxx")
    assert error.count("\n") == 1
    assert len(error) < 300


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252"])
def test_names_that_the_output_cannot_hold_are_escaped(encoding, tmp_path):
    images = tmp_path / "data"
    images.mkdir()
    Image.new("RGB", (64, 64)).save(images / "a.png")
    shape = {"label": "\u732b", "points": [[5, 5], [90, 40]]}
    content = json.dumps({"imagePath": "a.png", "shapes": [shape]})
    with open(os.path.join(images, os.fsdecode(b"\xff.json")), "w") as file:  # no UTF-8
        file.write(content)
    command = [sys.executable, "-m", "keras_retinanet.bin.doctor", str(images)]
    environment = {**os.environ, "PYTHONPATH": ROOT, "PYTHONIOENCODING": f"{encoding}:strict"}
    fix = ["--fix", "fixed", "--format", "coco"]
    done = subprocess.run([*command, *fix], capture_output=True, cwd=tmp_path, env=environment)
    assert b"Traceback" not in done.stderr
    assert b"\\u732b" in done.stdout
    assert "\u732b" in (tmp_path / "doctor.html").read_text(encoding="utf-8")
    assert (tmp_path / "fixed" / "changes.csv").is_file()


def test_our_own_mistakes_keep_their_traceback():
    with pytest.raises(ZeroDivisionError):
        fail_with(ZeroDivisionError())
    with pytest.raises(OSError, match="no file"):
        fail_with(OSError("no file in it"))


def test_an_interrupted_command_says_so(capsys):
    with pytest.raises(SystemExit) as stop:
        fail_with(KeyboardInterrupt())
    assert stop.value.code == 130
    assert capsys.readouterr().err == "\ncommand: stopped\n"


STOPPED_BY = """
import os, signal, sys, threading, time
from keras_retinanet.bin.cli import user_errors
from keras_retinanet.utils.outputs import replacing
with user_errors("command"):
    with replacing("out.txt") as part:
        part.write_text("half")
        print(os.listdir("."))
        threading.Thread(target=time.sleep, args=(60,)).start()
        os.kill(os.getpid(), signal.Signals[sys.argv[1]])
        time.sleep(60)
"""


@pytest.mark.parametrize(("name", "status"), [("SIGINT", 130), ("SIGTERM", 143)])
def test_a_stopped_command_leaves_nothing_half_done_and_waits_for_no_thread(tmp_path, name, status):
    start = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", STOPPED_BY, name],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": ROOT},
        capture_output=True,
        text=True,
    )
    assert done.returncode == status
    assert done.stderr == "\ncommand: stopped\n"
    assert "unfinished" in done.stdout
    assert not [*tmp_path.iterdir()]
    assert time.perf_counter() - start < 30


@pytest.mark.parametrize("module", sorted(m.__name__ for m in COMMANDS.values()))
def test_ctrl_c_while_a_command_starts_is_one_line(module):
    name = module.rpartition(".")[2].replace("_", "-")
    script = (  # stops the process where the command's first own module is imported
        "import builtins, os, runpy, signal, sys\n"
        "real = builtins.__import__\n"
        "def stop(name, *args):\n"
        "    if name == 'errors': os.kill(os.getpid(), signal.SIGINT)\n"
        "    return real(name, *args)\n"
        "builtins.__import__ = stop\n"
        f"sys.argv = ['retinanet-{name}', '--help']\n"
        f"import {module}"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=ROOT)
    assert (done.returncode, done.stderr) == (130, f"\nretinanet-{name}: stopped\n")


def test_a_command_in_the_background_of_a_script_goes_on_at_ctrl_c():
    script = (
        "import os, signal\n"
        "from keras_retinanet.bin.cli import user_errors\n"
        "with user_errors('command'):\n"
        "    os.kill(os.getpid(), signal.SIGINT)\n"
        "    print('goes on')"
    )
    done = subprocess.run(
        ["sh", "-c", 'trap "" INT; exec "$0" -c "$1"', sys.executable, script],
        capture_output=True,
        text=True,
        cwd=ROOT,
    )
    assert (done.returncode, done.stdout) == (0, "goes on\n")


def test_programs_that_import_commands_keep_their_own_ctrl_c():
    script = (
        "import signal, keras_retinanet.bin.train\n"
        "assert signal.getsignal(signal.SIGINT) is signal.default_int_handler"
    )
    subprocess.run([sys.executable, "-c", script], check=True, cwd=ROOT)


def test_warnings_are_one_line_each_and_only_those_for_people(capsys):
    with cli.user_errors("command"):
        warnings.warn("Dropped 2 of 9 boxes.", UserWarning, stacklevel=1)
        warnings.warn("for programmers", DeprecationWarning, stacklevel=1)
    assert capsys.readouterr().err == "command: warning: Dropped 2 of 9 boxes.\n"


NUMBERS = [
    ("--batch-size", "0", "from 1 to 1024"),
    ("--batch-size", "-2", "from 1 to 1024"),
    ("--epochs", "0", "from 1 to 1000000"),
    ("--steps", "-1", "from 1 to 1000000"),
    ("--lr", "nan", "between 0 and 1000000000"),
    ("--lr", "-0.1", "between 0 and 1000000000"),
    ("--lr", "inf", "between 0 and 1000000000"),
    ("--optimizer-clipnorm", "0", "between 0 and 1000000000"),
    ("--max-queue-size", "0", "from 1 to 1024"),
    ("--accumulate", "0", "from 1 to 1000000"),
    ("--feature-size", "0", "from 1 to 1024"),
    ("--image-min-side", "-5", "from 1 to 10000"),
    ("--multi-scale", "0", "above 0"),
    ("--multi-scale", "640,x", "whole numbers"),
    ("--number", "0", "from 1 to 1000000"),
    ("--repeat-threshold", "2", "from 0 to 1"),
    ("--max-detections", "0", "from 1 to 10000"),
    ("--seed", "-1", "0 to 4294967295"),
    ("--seed", "99999999999999999999", "0 to 4294967295"),
    ("--workers", "-1", "from 0 to 256"),
    ("--initial-epoch", "-1", "from 0 to 1000000"),
    ("--head-depth", "-1", "from 0 to 32"),
    ("--devices", "-1", "from 0 to 256"),
    ("--reduce-lr-patience", "-1", "from 0 to 1000000"),
    ("--weight-decay", "-1", "from 0 to 1"),
    ("--reduce-lr-factor", "1", "between 0 and 1"),
    ("--score-threshold", "1.5", "from 0 to 1"),
    ("--iou-threshold", "-0.1", "from 0 to 1"),
    ("--nms-threshold", "nan", "from 0 to 1"),
    ("--batch-size", "two", "a whole number"),
    ("--tensorboard-freq", "never", "epoch, batch"),
    ("--tensorboard-freq", "0", "epoch, batch"),
]


def options_of(module):
    """The names of a command's options, from its own help."""
    text = io.StringIO()
    with contextlib.redirect_stdout(text), contextlib.suppress(SystemExit):
        module.parse_args(["--help"])
    return {word.strip("[],") for word in text.getvalue().split() if "--" in word}


CASES = [
    (command, *case)
    for command, module in COMMANDS.items()
    for case in NUMBERS
    if case[0] in options_of(module)
]


@pytest.mark.parametrize(("command", "option", "value", "expected"), CASES)
def test_numbers_that_make_no_sense_are_refused(refuse, command, option, value, expected):
    message = refuse(COMMANDS[command].parse_args, f"{option}={value}", *REST[command])
    assert option in message
    assert expected in message
    assert value in message


def test_every_number_is_an_option_of_some_command():
    assert {case[0] for case in NUMBERS} == {case[1] for case in CASES}


@pytest.mark.parametrize("command", COMMANDS)
def test_missing_arguments_are_named_with_an_example(capsys, command):
    with pytest.raises(SystemExit) as stop:
        COMMANDS[command].main([])
    assert stop.value.code == 2
    usage, *errors = capsys.readouterr().err.splitlines()
    assert usage.startswith(f"usage: {command}")
    assert any("required" in line for line in errors)
    assert any(line.startswith(f"  {command} ") for line in errors) or len(errors) == 1


def test_help_comes_at_once_and_without_a_backend(child_seconds):
    script = (
        "import sys, keras_retinanet.bin.{0} as m\n"
        "try: m.main(['--help'])\n"
        "finally: print('keras' in sys.modules, 'tensorflow' in sys.modules, file=sys.stderr)"
    )
    for module in COMMANDS.values():
        command = module.__name__.rsplit(".", 1)[-1]
        start = child_seconds()
        done = subprocess.run(
            [sys.executable, "-c", script.format(command)], capture_output=True, text=True
        )
        assert done.returncode == 0
        assert "usage: retinanet-" in done.stdout
        assert done.stderr.strip() == "False False"
        assert child_seconds() - start < 1


def test_sides():
    for sides in ((None, None), (8, None), (None, 8), (8, 8), (8, 9)):
        check_sides(*sides)
    check_sides(9, 8, of_model=(9, 8))  # a model that resizes to 9 x 8 px
    for of_model in ((None, None), (9, 20)):
        with pytest.raises(InputError, match=r"\(9\).*\(8\)"):
            check_sides(9, 8, of_model)


def test_names_of_backbones_are_compared_as_backbones(snapshot):
    assert load_retinanet(str(snapshot), "ResNet10_0.250").backbone_name == "resnet10_0.25"
    with pytest.raises(InputError, match=r"resnet10_0\.25, not resnet18"):
        load_retinanet(str(snapshot), "resnet18")


def test_folders_are_made_and_files_in_their_place_refused(tmp_path):
    cli.check_folder(tmp_path / "a" / "b")
    assert (tmp_path / "a" / "b").is_dir()
    (tmp_path / "file").write_text("kept")
    for path in (tmp_path / "file", tmp_path / "file" / "b"):
        with pytest.raises(InputError, match=str(tmp_path / "file")):
            cli.check_folder(path)
    assert (tmp_path / "file").read_text() == "kept"


CONFIG = {
    "sizes": "16 32",
    "strides": "8 16",
    "ratios": "1",
    "scales": "1",
    "levels": "3 4",
}


def write_config(path, **changes):
    options = {**CONFIG, **changes}
    levels = options.pop("levels")
    lines = ["[anchor_parameters]", *(f"{name} = {value}" for name, value in options.items())]
    path.write_text("\n".join([*lines, "[pyramid_levels]", f"levels = {levels}"]))
    return path


def test_read_config(tmp_path):
    anchors, levels = read_anchors(write_config(tmp_path / "c.ini"))
    assert levels == [3, 4]
    assert anchors.sizes == [16, 32]
    anchors, levels = read_anchors(None)
    assert levels == [3, 4, 5, 6, 7]
    assert anchors.num_anchors() == 9


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"levels": "4 3"}, "ascending"),
        ({"levels": "3 3"}, "ascending"),
        ({"levels": "1 2"}, "2 to 7"),
        ({"levels": "7 8"}, "2 to 7"),
        ({"strides": "8 15"}, r"strides must be \[8, 16\]"),
        ({"sizes": "16"}, "sizes"),
        ({"sizes": "16 x"}, "sizes"),
        ({"sizes": "16 -1"}, "sizes"),
        ({"ratio": "1"}, "ratio"),
    ],
)
def test_configurations_that_fit_no_model_are_refused(tmp_path, changes, message):
    path = write_config(tmp_path / "anchors.ini", **changes)
    with pytest.raises(InputError, match=rf"anchors\.ini.*{message}"):
        read_anchors(path)


def test_snapshots_that_are_none(tmp_path, other_keras_file, snapshot):
    text = tmp_path / "text.keras"
    text.write_text("not a model")
    cut = tmp_path / "cut.keras"
    cut.write_bytes(snapshot.read_bytes()[:-5000])
    empty = tmp_path / "empty.keras"
    empty.touch()
    old = tmp_path / "old.h5"
    old.write_bytes(b"\x89HDF\r\n\x1a\n and no more")
    for path, message in (
        (tmp_path / "missing.keras", "no such file"),
        (tmp_path, "a folder"),
        (empty, "an empty file"),
        (text, "not a .keras file"),
        (cut, "truncated"),
        (old, "an HDF5 file"),
        (other_keras_file, "holds a Sequential, not a RetinaNet"),
    ):
        with pytest.raises(InputError, match=message) as error:
            load_retinanet(str(path))
        assert str(path) in str(error.value)
        assert "\n" not in str(error.value)


def test_a_snapshot_of_another_backbone_says_what_it_holds(snapshot):
    with pytest.raises(InputError, match=r"resnet10_0\.25, not resnet50"):
        load_retinanet(str(snapshot), "resnet50")
    assert load_retinanet(str(snapshot), "resnet10_0.25").is_training_model


def test_the_classes_of_a_model_are_compared_by_name_or_else_by_number(snapshot):
    model = load_retinanet(str(snapshot))
    names = model.class_names
    assert model.num_classes == len(names) == 4
    check_classes("x.keras", model, names)
    with pytest.raises(InputError, match=r"ball, crate, tent, star.*star, tent, crate, ball"):
        check_classes("x.keras", model, names[::-1])
    model.class_names = None
    check_classes("x.keras", model, names[::-1])
    with pytest.raises(InputError, match=r"x\.keras.* 4 classes"):
        check_classes("x.keras", model, names[:2])


def test_errors_name_options_by_their_flags():
    from keras_retinanet.bin.arguments import named_by_flags
    from keras_retinanet.errors import InputError

    text = "batch_size must be 1; see image_min_side. /a/batch_size/x.csv and my_batch_size stay."
    with pytest.raises(InputError) as error, named_by_flags():
        raise InputError(text)
    assert str(error.value) == (
        "--batch-size must be 1; see --image-min-side. /a/batch_size/x.csv and my_batch_size stay."
    )


def test_number_of_thousands_of_digits_is_not_quoted_in_full(refuse):
    from keras_retinanet.bin import detect

    message = refuse(detect.main, "a.keras", "b.jpg", "--csv", "c.csv", "--batch-size", "9" * 9000)
    assert "--batch-size" in message
    assert len(message) < 300
