"""Finding pictures and other files by what annotation files call them."""

import os

from keras_retinanet.errors import InputError
from keras_retinanet.utils.outputs import note_inputs

PICTURES = (".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp")
OF_THE_SYSTEM = ("lost+found", "System Volume Information")  # on every disk, and closed to people


def find_file(name, folders):
    """The file `name` in the first of `folders` that has it.

    Where none has, leading folders of the name are left out one after the other: annotation files
    travel, and "data/train/a.jpg" is then "a.jpg". A file that is nowhere keeps the path at which
    it was expected. "." and ".." in it are resolved, so that a file has one path.
    """
    name = name.replace("\\", "/")
    parts = [part for part in name.split("/") if part not in ("", ".", "..")]
    for tail in (name, *("/".join(parts[start:]) for start in range(len(parts)))):
        for folder in folders:
            path = os.path.normpath(os.path.join(folder, tail))
            if os.path.isfile(path):
                return path
    return os.path.normpath(os.path.join(folders[0], name))


def stem(path):
    """The name of a file without folder and suffix."""
    return os.path.splitext(os.path.basename(path))[0]


def names_in(folder, suffixes):
    """The names of the files in a folder that end in one of `suffixes`, sorted; [] without one."""
    names = sorted(entry.name for entry in _entries(folder) if _is(entry.name, suffixes))
    note_inputs(os.path.join(folder, name) for name in names)
    return names


def holds(folder, suffixes):
    """Whether a folder holds a file that ends in one of `suffixes`; looks no further than it."""
    return any(_is(entry.name, suffixes) for entry in _entries(folder))


def folders_in(folder):
    """The names of the folders in a folder, sorted."""
    names = (entry.name for entry in _entries(folder) if entry.is_dir())
    return sorted(name for name in names if name not in OF_THE_SYSTEM)


def files_under(folder, suffixes):
    """The files in a folder and below that end in one of `suffixes`, sorted."""
    found = []
    for base, _, names in os.walk(folder, onerror=_raise_denied):
        found += [os.path.join(base, name) for name in names if _is(name, suffixes)]
    note_inputs(found)
    return sorted(found)


def pictures_by_stem(folders):
    """{stem: path} of the pictures in folders; where two have one stem, of the first."""
    found = {}
    for folder in folders:
        for name in names_in(folder, PICTURES):
            found.setdefault(os.path.splitext(name)[0], os.path.join(folder, name))
    return found


def _entries(folder):
    """What is in a folder, nothing without one; InputError where it may not be looked into."""
    try:
        with os.scandir(folder) as entries:
            yield from entries
    except OSError as error:
        _raise_denied(error)


def _raise_denied(error):
    if isinstance(error, PermissionError):
        raise InputError(f"{error.filename}: {error.strerror}") from None


def _is(name, suffixes):
    """Whether a file ends in one of `suffixes` and is not hidden, as "._a.jpg" of a Mac is."""
    return name.lower().endswith(suffixes) and not name.startswith(".")
