"""A small fixed part of `python -m benchmarks.hostile`, and the judge of its runs."""

import pytest

from benchmarks.hostile import files, known, mutations, specimens
from benchmarks.hostile.judge import LONGEST, judge
from benchmarks.hostile.runner import Result, Runner, Specimen
from keras_retinanet.errors import InputError
from keras_retinanet.weights.files import read_tensors

RIGHT = {"stopped": "", "seconds": 0.1, "cpu": 0.1, "memory": 0, "out": "", "err": ""}
HELD = (  # the commands without Keras and the recipes of `known` that hold
    ("convert_dataset", "surrogate in a name"),
    ("convert_dataset", "surrogate as a class"),
    ("convert_dataset", "controls as a class"),
    ("convert_dataset", "long class"),
    ("convert_dataset", "text as bbox"),
    ("convert_dataset", "no base64"),
)


@pytest.fixture(scope="module")
def runner(tmp_path_factory):
    """A runner whose worker imports no Keras."""
    runner = Runner(tmp_path_factory.mktemp("hostile"), seconds=20)
    yield runner
    runner.close()


@pytest.mark.parametrize(
    ("status", "changes", "faults"),
    [
        (0, {}, []),
        (1, {}, ["exit status 1"]),
        (2, {"err": "x: error: a.csv:3: no number."}, []),
        (2, {}, ["no error message"]),
        (2, {"err": "x: error: a\nb"}, ["error of several lines"]),
        (70, {"err": "Traceback (most recent call last)"}, ["exit status 70", "traceback"]),
        (-9, {"stopped": "time"}, ["time limit"]),
        (-9, {"stopped": "memory"}, ["memory limit"]),
        (0, {"out": "a" * 2001}, ["long message"]),
        (0, {"out": "\x1b[31m"}, ["control characters"]),
        (0, {"changed": ("box/in/a.csv",)}, ["changed other files"]),
    ],
)
def test_judge_names_each_broken_rule(status, changes, faults):
    specimen = Specimen("csv/0", "", "convert_dataset", [], {})
    result = Result(**{"status": status, "changed": (), **RIGHT, **changes})
    assert judge(specimen, result) == faults


def test_doctor_may_exit_with_status_1():
    result = Result(status=1, changed=(), **RIGHT)
    assert judge(Specimen("csv/0", "", "doctor", [], {}), result) == []


@pytest.mark.parametrize("kind", ["csv", "coco", "weights", "presets"])
def test_same_number_makes_same_specimen(kind):
    assert specimens.specimen(kind, 7) == specimens.specimen(kind, 7)
    assert specimens.specimen(kind, 7) != specimens.specimen(kind, 8)


def test_changes_are_those_outside_of_outputs(tmp_path):
    made = {"a": b"1", "b": b"1", "out/c": b"1", "pipe": files.Node("fifo")}
    files.write(made, tmp_path)
    before = files.tree(tmp_path)
    assert files.changes(before, before, []) == []
    (tmp_path / "a").write_bytes(b"22")
    (tmp_path / "b").rename(tmp_path / "d")
    (tmp_path / "out/c").unlink()
    (tmp_path / "out/e").mkdir()
    (tmp_path / "outer").mkdir()
    assert files.changes(before, files.tree(tmp_path), ["out"]) == ["a", "b", "d", "out/c", "outer"]


def test_json_mutation_puts_values_in_place():
    rng = specimens.Random(0)
    mutated = {mutations.json_value(b'{"a": 1}', rng) for _ in range(50)}
    assert b'{"a": null}' in mutated
    assert b'{"a": 1, "a": 1}' in mutated


@pytest.mark.parametrize("kind", specimens.datasets.FORMATS)
def test_unchanged_data_set_passes(kind, runner):
    argv = [kind, *(["in/train.csv"] if kind == "csv" else ["in"]), "csv", "out/set"]
    made = specimens.datasets.FORMATS[kind]()
    result = runner.run(Specimen(f"{kind}/seed", "", "convert_dataset", argv, made))
    assert (result.status, result.err) == (0, "")
    read = "3 images with 9 boxes" if kind == "cvat" else "2 images with 4 boxes"
    assert f"read {read}" in result.out


def test_runner_ends_a_run_that_waits(runner, tmp_path):
    runner.limits["seconds"] = 1
    made = {"train.csv": files.NODES["fifo"]}
    result = runner.run(Specimen("csv/0", "", "doctor", ["--no-html", "csv", "in/train.csv"], made))
    assert result.stopped == "time" or result.status == 2
    runner.limits["seconds"] = 20


@pytest.mark.parametrize(("command", "recipe"), HELD)
def test_known_faults_are_gone(command, recipe, runner):
    argv, made = next(case[2:] for case in known.cases() if case[:2] == (recipe, command))
    specimen = Specimen("known/0", recipe, command, argv, made)
    assert judge(specimen, runner.run(specimen)) == []


@pytest.mark.parametrize("index", range(28))
def test_weights_are_read_or_refused(index, tmp_path):
    specimen = specimens.specimen("weights", index)
    files.write(specimen.files, tmp_path)
    tensors, message = {}, "read"
    try:
        tensors = read_tensors(tmp_path / next(iter(specimen.files)))
    except InputError as error:
        message = str(error)
    assert message.isprintable()
    assert len(message) < LONGEST
    assert all(value.dtype.kind in "biuf" for value in tensors.values())
