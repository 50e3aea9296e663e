"""Finding images and other files by the names that annotation files give them."""

import os
from collections.abc import Iterable, Iterator, Sequence

from ...errors import InputError
from ...utils.outputs import note_inputs

PICTURES = (".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp")
OF_THE_SYSTEM = ("lost+found", "System Volume Information")  # on every disk, and closed to people


def tails(path: str) -> list[str]:
    """Return a path, then the path without its first folder, its first two, and so on."""
    parts = [part for part in path.replace("\\", "/").split("/") if part not in ("", ".", "..")]
    return ["/".join(parts[start:]) for start in range(len(parts))]


def find_file(name: str, folders: Sequence[str | os.PathLike]) -> str:
    """Return the file `name` in the first of `folders` that has it.

    If none has, leading folders of the name are left out one after the other: annotation files
    travel, and "data/train/a.jpg" is then "a.jpg". A file that is nowhere keeps the path at which
    it was expected. "." and ".." in it are resolved, so that a file has one path.
    """
    name = name.replace("\\", "/")
    for tail in (name, *tails(name)):
        for folder in folders:
            path = os.path.normpath(os.path.join(folder, tail))
            if os.path.isfile(path):
                return path
    return os.path.normpath(os.path.join(folders[0], name))


def stem(path: str | os.PathLike) -> str:
    """Return the name of a file without folder and suffix."""
    return os.path.splitext(os.path.basename(path))[0]


def first_file(paths: Iterable[str]) -> str | None:
    """Return the first path that is a file."""
    return next(filter(os.path.isfile, paths), None)


def first_folder(paths: Iterable[str]) -> str | None:
    """Return the first path that is a folder."""
    return next(filter(os.path.isdir, paths), None)


def names_in(folder: str, suffixes: Sequence[str]) -> list[str]:
    """Return the sorted names of the files in a folder that end in one of `suffixes`."""
    names = sorted(entry.name for entry in _entries(folder) if _ends_in(entry.name, suffixes))
    note_inputs(os.path.join(folder, name) for name in names)
    return names


def holds(folder: str, suffixes: Sequence[str]) -> bool:
    """Return True if a folder holds a file that ends in one of `suffixes`; stop at the first."""
    return any(_ends_in(entry.name, suffixes) for entry in _entries(folder))


def folders_in(folder: str) -> list[str]:
    """Return the sorted names of the folders in a folder."""
    names = (entry.name for entry in _entries(folder) if entry.is_dir())
    return sorted(name for name in names if name not in OF_THE_SYSTEM)


def files_under(folder: str, suffixes: Sequence[str]) -> list[str]:
    """Return the sorted files in a folder and below that end in one of `suffixes`."""
    found = []
    for base, _, names in os.walk(folder, onerror=_raise_denied):
        found += [os.path.join(base, name) for name in names if _ends_in(name, suffixes)]
    note_inputs(found)
    return sorted(found)


def pictures_by_stem(folders: Sequence[str]) -> dict[str, str]:
    """Return {stem: path} of the images in folders; the first folder wins."""
    found: dict[str, str] = {}
    for folder in folders:
        for name in names_in(folder, PICTURES):
            found.setdefault(stem(name), os.path.join(folder, name))
    return found


def _entries(folder: str) -> Iterator[os.DirEntry]:
    """Yield the entries of a folder, none if there is no such folder."""
    try:
        with os.scandir(folder) as entries:
            yield from entries
    except OSError as error:
        _raise_denied(error)


def _raise_denied(error: OSError) -> None:
    if isinstance(error, PermissionError):
        raise InputError(f"{error.filename}: {error.strerror}") from None


def _ends_in(name: str, suffixes: Sequence[str]) -> bool:
    """Return True if a file ends in one of `suffixes` and is not hidden, as a Mac's "._a.jpg"."""
    return name.lower().endswith(tuple(suffixes)) and not name.startswith(".")
