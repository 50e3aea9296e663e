"""The installed package: commands, cost of importing, content of the wheel."""

import email
import shutil
import subprocess
import sys
import tomllib
import zipfile
from importlib import import_module
from pathlib import Path

import pytest

import keras_retinanet

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
COMMANDS = {name: entry.partition(":")[0] for name, entry in PROJECT["scripts"].items()}
HEAVY = {"tensorflow", "keras", "jax", "torch", "cv2", "numpy", "PIL"}


def python(*arguments, **options):
    """Run Python in a process that must exit with status 0, and return the result."""
    command = [sys.executable, *map(str, arguments)]
    result = subprocess.run(command, capture_output=True, text=True, timeout=300, **options)
    assert result.returncode == 0, result.stderr
    return result


def imported_by(code):
    """Return the top-level names in sys.modules after `code`."""
    result = python("-c", f"{code}\nimport sys\nprint(*sys.modules)", cwd=ROOT)
    return {name.partition(".")[0] for name in result.stdout.splitlines()[-1].split()}


def test_package_installs_its_commands():
    assert set(COMMANDS) == {
        "retinanet-train",
        "retinanet-evaluate",
        "retinanet-convert-model",
        "retinanet-detect",
        "retinanet-serve",
        "retinanet-doctor",
        "retinanet-debug",
        "retinanet-convert-dataset",
        "retinanet-import-weights",
    }


@pytest.mark.parametrize("name", COMMANDS)
def test_entry_point_of_a_command_is_callable(name):
    module, _, function = PROJECT["scripts"][name].partition(":")
    assert callable(getattr(import_module(module), function))


@pytest.mark.parametrize("name", COMMANDS)
def test_help_answers_within_a_second(name, child_seconds):
    start = child_seconds()
    result = python("-m", COMMANDS[name], "--help", cwd=ROOT)
    assert result.stdout.startswith(f"usage: {name} ")
    assert child_seconds() - start < 1


@pytest.mark.parametrize("name", COMMANDS)
def test_script_prints_help_without_installed_packages(name, tmp_path):
    # -S leaves site-packages out: neither the package nor its requirements can be imported
    script = ROOT / "bin" / f"{COMMANDS[name].rpartition('.')[2]}.py"
    result = python("-S", script, "--help", cwd=tmp_path)
    assert result.stdout.startswith(f"usage: {name} ")


@pytest.mark.parametrize("module", ["keras_retinanet", *COMMANDS.values()])
def test_import_loads_no_heavy_module(module):
    assert not imported_by(f"import {module}") & HEAVY


@pytest.mark.parametrize("name", COMMANDS)
def test_help_loads_no_heavy_module(name):
    code = f"""
from {COMMANDS[name]} import parse_args
try:
    parse_args(["--help"])
except SystemExit as stop:
    assert stop.code == 0
"""
    assert not imported_by(code) & HEAVY


def test_detector_without_a_keras_model_imports_no_backend():
    assert not imported_by("import keras_retinanet.detector") & {"keras", "tensorflow", "jax"}


def test_imported_by_finds_heavy_modules():
    # so that the two tests above can fail
    assert "numpy" in imported_by("import keras_retinanet.boxes")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """Return the open wheel of a copy of the checkout."""
    folder = tmp_path_factory.mktemp("wheel")
    for name in ("pyproject.toml", "setup.py", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, folder)
    for name in ("keras_retinanet", "tests", "bin"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    python("-m", "build", "--wheel", "--no-isolation", "--outdir", folder / "dist", folder)
    (path,) = (folder / "dist").iterdir()
    with zipfile.ZipFile(path) as archive:
        yield archive


@pytest.mark.slow
def test_wheel_holds_the_package_and_nothing_else(wheel):
    package = {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "keras_retinanet").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    held = {name for name in wheel.namelist() if ".dist-info/" not in name}
    assert held == package


@pytest.mark.slow
def test_wheel_states_version_commands_and_licence(wheel):
    info = f"keras_retinanet-{keras_retinanet.__version__}.dist-info"
    metadata = email.message_from_bytes(wheel.read(f"{info}/METADATA"))
    assert metadata["Version"] == keras_retinanet.__version__
    assert metadata["Requires-Python"] == "<3.14,>=3.11"
    scripts = wheel.read(f"{info}/entry_points.txt").decode()
    for name, entry in PROJECT["scripts"].items():
        assert f"{name} = {entry}" in scripts
    assert wheel.read(f"{info}/licenses/LICENSE") == (ROOT / "LICENSE").read_bytes()
