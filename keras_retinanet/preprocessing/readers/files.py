"""Find images and other files by their names in annotation files."""

import os
from collections.abc import Iterable, Iterator, Sequence
from urllib.parse import unquote

from ...errors import InputError
from ...utils.outputs import note_inputs
from .parsing import lines_of

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp")
BACK = "\\"  # in Windows paths
OF_THE_SYSTEM = (
    "lost+found",
    "System Volume Information",
)  # folders on every disk that users may not read


def tails(path: str) -> list[str]:
    """Return a path, then the path without its first folder, its first two, and so on."""
    parts = [part for part in path.replace(BACK, "/").split("/") if part not in ("", ".", "..")]
    return ["/".join(parts[start:]) for start in range(len(parts))]


def find_file(name: str, folders: Sequence[str | os.PathLike]) -> str:
    """Return the file `name` in the first of `folders` that has it.

    If none has it, leading folders of the name are left out one by one, because annotation files
    move between machines: "data/train/a.jpg" may now be "a.jpg". "%20" is also read as a space, as
    in web addresses. A file that is not found gets its expected path. "." and ".." are resolved, so
    each file has one path.
    """
    name = name.replace(BACK, "/")
    for spelled in dict.fromkeys([name, unquote(name)]):
        for tail in (spelled, *tails(spelled)):
            for folder in folders:
                path = os.path.normpath(os.path.join(folder, tail))
                if os.path.isfile(path):
                    return path
    return os.path.normpath(os.path.join(folders[0], name))


def is_shortened(path: str, name: str) -> bool:
    """Return True if `find_file` found the path of a name without all folders of the name."""
    tail = f"/{next(iter(tails(os.path.normpath(name.replace(BACK, '/')))), '')}"
    return not f"/{path}".replace(BACK, "/").endswith((tail, unquote(tail)))


def lies_in(path: str, folders: Iterable[str | os.PathLike]) -> bool:
    """Return True if a path is in one of the folders, or below; links are not followed."""
    path = os.path.abspath(path)
    return any(path.startswith(os.path.join(os.path.abspath(f), "")) for f in folders)


def listed_names(listing: str, folder: str, suffix: str) -> list[str]:
    """Return the names in a list of images, each once.

    A name belongs to a file with `suffix` in `folder`, and may have blanks. If there is no such
    file, an image suffix is removed, and so is a -1, 0 or 1 after the name, as in Pascal VOC's
    lists of one class.
    """
    names = dict.fromkeys(_listed_name(line, folder, suffix) for line in lines_of(listing))
    if not names:
        raise InputError(f"{listing} holds no images.")
    return list(names)


def _listed_name(line: str, folder: str, suffix: str) -> str:
    name, _, mark = line.rpartition(" ")
    short = name.strip() if mark in ("-1", "0", "1") and name else line
    candidates = [line, bare(line), short, bare(short)]
    there = (c for c in candidates if os.path.isfile(os.path.join(folder, c + suffix)))
    return next(there, candidates[-1])


def bare(name: str) -> str:
    """Return a name without the suffix of an image."""
    return os.path.splitext(name)[0] if name.lower().endswith(IMAGE_SUFFIXES) else name


def stem(path: str | os.PathLike) -> str:
    """Return the name of a file without folder and suffix."""
    return os.path.splitext(os.path.basename(path))[0]


def first_file(paths: Iterable[str]) -> str | None:
    """Return the first path that exists and is no folder; `open_file` refuses pipes and devices."""
    return next((path for path in paths if os.path.exists(path) and not os.path.isdir(path)), None)


def first_folder(paths: Iterable[str]) -> str | None:
    """Return the first path that is a folder."""
    return next(filter(os.path.isdir, paths), None)


def names_in(folder: str, suffixes: Sequence[str]) -> list[str]:
    """Return the sorted names of the files in a folder that end in one of `suffixes`."""
    names = sorted(entry.name for entry in _entries(folder) if ends_in(entry.name, suffixes))
    note_inputs(os.path.join(folder, name) for name in names)
    return names


def holds(folder: str, suffixes: Sequence[str]) -> bool:
    """Return True if a folder has a file that ends in one of `suffixes`."""
    return any(ends_in(entry.name, suffixes) for entry in _entries(folder))


def folders_in(folder: str) -> list[str]:
    """Return the sorted names of the folders in a folder."""
    names = (entry.name for entry in _entries(folder) if entry.is_dir())
    return sorted(name for name in names if name not in OF_THE_SYSTEM)


def files_under(folder: str, suffixes: Sequence[str]) -> list[str]:
    """Return the sorted files in a folder and its subfolders that end in one of `suffixes`."""
    found = []
    for base, _, names in os.walk(folder, onerror=raise_denied):
        found += [os.path.join(base, name) for name in names if ends_in(name, suffixes)]
    note_inputs(found)
    return sorted(found)


def images_by_stem(folders: Sequence[str]) -> dict[str, str]:
    """Return {stem: path} of the images in folders; the first folder wins."""
    found: dict[str, str] = {}
    for folder in folders:
        for name in names_in(folder, IMAGE_SUFFIXES):
            found.setdefault(stem(name), os.path.join(folder, name))
    return found


def _entries(folder: str) -> Iterator[os.DirEntry]:
    """Yield the entries of a folder, none if there is no such folder."""
    try:
        with os.scandir(folder) as entries:
            yield from entries
    except OSError as error:
        raise_denied(error)


def raise_denied(error: OSError) -> None:
    """Raise InputError if access is denied; other errors mean that the path does not exist."""
    if isinstance(error, PermissionError):
        raise InputError(f"{error.filename}: {error.strerror}.") from None


def ends_in(name: str, suffixes: Sequence[str]) -> bool:
    """Return True if a file ends in one of `suffixes` and is not hidden like macOS's "._a.jpg"."""
    return name.lower().endswith(tuple(suffixes)) and not name.startswith(".")
