"""Files that are read and written: which ones are inputs, and outputs that spare them."""

from __future__ import annotations

import atexit
import contextlib
import os
import shutil
import stat
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from keras_retinanet.errors import InputError

_records: list[list[str | os.PathLike]] = []  # of the `recorded_inputs` blocks that are open
_temporary: list[str] = []  # folders


@contextlib.contextmanager
def recorded_inputs() -> Iterator[list[str | os.PathLike]]:
    """Collect the files that readers find or open inside the block.

    >>> with recorded_inputs() as files:
    ...     note_inputs(["train.csv"])
    >>> files
    ['train.csv']
    """
    files: list[str | os.PathLike] = []
    _records.append(files)
    try:
        yield files
    finally:
        _records.pop()


def note_inputs(paths: Iterable[str | os.PathLike]) -> None:
    """Add files to every open `recorded_inputs` block."""
    if _records:
        paths = list(paths)
        for files in _records:
            files.extend(paths)


def check_outputs(
    outputs: Mapping[str, Iterable[str | os.PathLike]], inputs: Iterable[str | os.PathLike] = ()
) -> None:
    """Check that every output can be written without losing anything but an earlier output.

    Args:
        outputs: {option: the files it writes}, such as {"--json": ["figures.json"]}.
        inputs: files that must stay as they are; missing ones are skipped.

    Raises:
        InputError: names the option and the path of an output that is an input or another output,
            is a folder, link, pipe or device, or lies in a folder that cannot be written to.
    """
    taken: dict[object, str] = {}  # {path of an output, or identity of an old file: option, path}
    existing = {}
    for option, paths in outputs.items():
        for path in paths:
            name, place = f"{option} {path}", _resolved(path)
            _check_place(name, place)
            identity = _identity(place)
            key = os.path.normcase(place) if identity is None else identity
            other = taken.setdefault(key, name)
            if other is not name:
                raise InputError(f"{name} is the same file as {other}; choose another path.")
            if identity is not None:
                existing[identity] = name
    for path in inputs if existing else ():
        overwritten = existing.get(_identity(path))
        if overwritten:
            raise InputError(f"{overwritten} would overwrite an input file; choose another path.")


def check_image_folders(
    option: str, folders: Iterable[str | os.PathLike], images: Iterable[str | os.PathLike]
) -> None:
    """Check that images are not written into a folder that holds input images.

    Raises:
        InputError: names the option and the folder.
    """
    sources = {os.path.realpath(folder) for folder in {os.path.dirname(path) for path in images}}
    for folder in folders:
        if os.path.realpath(folder) in sources:
            raise InputError(f"{option} {folder} holds input images; choose another folder.")


@contextlib.contextmanager
def replacing(path: str | os.PathLike) -> Iterator[Path]:
    """Yield a path to write to, in the folder of `path`, and move the finished file to `path`.

    A reader never sees half a file, and an error leaves an earlier file as it was.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.stem}.{os.getpid()}.unfinished{path.suffix}")
    try:
        yield part
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


def write_text(path: str | os.PathLike, text: str) -> None:
    """Write a UTF-8 file completely or not at all."""
    with replacing(path) as part:
        part.write_text(text, encoding="utf-8", newline="")


def temporary_folder() -> str:
    """Return a new folder that is removed when the process ends."""
    folder = tempfile.mkdtemp(prefix="keras-retinanet-")
    _temporary.append(folder)
    return folder


@atexit.register
def remove_temporary_folders() -> None:
    """Remove the folders of `temporary_folder`."""
    while _temporary:
        shutil.rmtree(_temporary.pop(), ignore_errors=True)


def _resolved(path: str | os.PathLike) -> Path:
    """Return the path with all links in its folder resolved; the file itself may be a link."""
    path = Path(path)
    return Path(os.path.realpath(path.parent), path.name)


def _check_place(name: str, path: Path) -> None:
    if os.path.lexists(path) and not stat.S_ISREG(os.lstat(path).st_mode):
        raise InputError(f"{name} is not a regular file; choose another path.")
    folder = next(folder for folder in path.parents if os.path.lexists(folder))
    if not folder.is_dir():
        raise InputError(f"{name}: {folder} is not a folder; choose another path.")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise InputError(f"{name}: {folder} cannot be written to; choose another path.")


def _identity(path: str | os.PathLike) -> tuple[int, int] | None:
    """Return the device and inode of a file, the same for all links to it; None without a file."""
    try:
        found = os.stat(path)
    except (OSError, ValueError):
        return None
    return found.st_dev, found.st_ino
