"""Files that are read and written: no output replaces an input."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import stat
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path

from keras_retinanet.errors import InputError

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS)
_records: list[list[str | os.PathLike]] = []  # one list for each open `recorded_inputs` block
_undoing: list[contextlib.ExitStack] = []  # one stack for each open `all_or_none` block


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
    """Check that every output can be written, and overwrites nothing but an earlier output.

    Args:
        outputs: {option: the files it writes}, such as {"--json": ["figures.json"]}.
        inputs: files that must stay as they are; missing ones are skipped.

    Raises:
        InputError: names the option and the path of an output that is an input or another output,
            is a folder, link, pipe or device, or is in a folder that cannot be written to.
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

    Raises:
        InputError: if the file cannot be written, such as on a full disk.
    """
    path = Path(path)
    part = path.with_name(f".{path.stem[:50]}.{os.getpid()}.unfinished{path.suffix}")
    try:
        make_folder(path.parent)
        yield part
        earlier = path.read_bytes() if _undoing and path.exists() else None
        _to_undo(_restore, path, earlier)
        os.replace(part, path)
    except OSError as error:
        named = None if error.filename is None else Path(os.fsdecode(error.filename))
        # shutil names the source where the target's disk is full
        if error.errno not in FULL and named not in (None, part, path, *path.parents):
            raise
        reason = error.strerror or error
        raise InputError(f"{path} cannot be written: {reason}.") from error
    finally:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)


@contextlib.contextmanager
def filling(folder: str | os.PathLike) -> Iterator[Path]:
    """Yield a new folder beside `folder` to write to, and move the finished files to `folder`."""
    folder = Path(folder)
    part = folder.with_name(f".{folder.name[:50]}.{os.getpid()}.unfinished")
    try:
        make_folder(part)
        yield part
        move_files(part, folder)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def move_files(source: str | os.PathLike, target: str | os.PathLike, suffix: str = "") -> None:
    """Move the files in a folder to the same places in another one, under names with a suffix."""
    for file in [path for path in Path(source).rglob("*") if path.is_file()]:
        place = Path(target, file.relative_to(source))
        make_folder(place.parent)
        os.replace(file, place.with_name(place.name + suffix))


def write_text(path: str | os.PathLike, text: str) -> None:
    """Write a UTF-8 file completely or not at all; characters that UTF-8 lacks are escaped."""
    with replacing(path) as part:
        part.write_text(text, encoding="utf-8", errors="backslashreplace", newline="")


def write_bytes(path: str | os.PathLike, data: bytes) -> None:
    """Write a file completely or not at all."""
    with replacing(path) as part:
        part.write_bytes(data)


def copy_file(source: str | os.PathLike, target: str | os.PathLike, link: bool = False) -> None:
    """Copy a file completely or not at all, or make a hard link if asked for and possible."""
    if link:
        _to_undo(_restore, Path(target), None)
        with contextlib.suppress(OSError):  # another disk, or one that knows no links
            os.link(os.path.realpath(source), target)
            return
    with replacing(target) as part:
        shutil.copy2(source, part)


def make_folder(path: str | os.PathLike) -> None:
    """Make a folder and its parent folders if they are missing."""
    path = Path(path)
    for folder in reversed([each for each in (path, *path.parents) if not each.exists()]):
        _to_undo(_remove_folder, folder)
        folder.mkdir(exist_ok=True)
    path.mkdir(exist_ok=True)  # raises if it is a file


@contextlib.contextmanager
def all_or_none() -> Iterator[None]:
    """At an error, undo the writing that functions of this module did inside the block."""
    with contextlib.ExitStack() as stack:
        _undoing.append(stack)
        try:
            yield
        finally:
            _undoing.pop()
        done = stack.pop_all()
        if _undoing:
            _undoing[-1].push(done)


def _to_undo(action: Callable[..., None], *args: object) -> None:
    if _undoing:
        _undoing[-1].callback(action, *args)


def _restore(path: Path, content: bytes | None) -> None:
    with contextlib.suppress(OSError):
        if content is None:
            path.unlink(missing_ok=True)
        else:
            path.write_bytes(content)


def _remove_folder(path: Path) -> None:
    with contextlib.suppress(OSError):  # it holds files of others
        path.rmdir()


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
