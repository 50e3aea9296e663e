"""Finding pictures and other files by what annotation files call them."""

import os

PICTURES = (".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp")


def find_file(name, folders):
    """The file `name` in the first of `folders` that has it.

    Where none has, leading folders of the name are left out one after the other: annotation files
    travel, and "data/train/a.jpg" is then "a.jpg". A file that is nowhere keeps the path at which
    it was expected.
    """
    name = name.replace("\\", "/")
    parts = [part for part in name.split("/") if part not in ("", ".", "..")]
    for tail in (name, *("/".join(parts[start:]) for start in range(len(parts)))):
        for folder in folders:
            path = os.path.join(folder, tail)
            if os.path.isfile(path):
                return path
    return os.path.join(folders[0], name)


def stem(path):
    """The name of a file without folder and suffix."""
    return os.path.splitext(os.path.basename(path))[0]


def names_in(folder, suffixes):
    """The names of the files in a folder that end in one of `suffixes`, sorted; [] without one."""
    try:
        with os.scandir(folder) as entries:
            return sorted(entry.name for entry in entries if _is(entry.name, suffixes))
    except OSError:
        return []


def holds(folder, suffixes):
    """Whether a folder holds a file that ends in one of `suffixes`; looks no further than it."""
    try:
        with os.scandir(folder) as entries:
            return any(_is(entry.name, suffixes) for entry in entries)
    except OSError:
        return False


def folders_in(folder):
    """The names of the folders in a folder, sorted."""
    try:
        with os.scandir(folder) as entries:
            return sorted(entry.name for entry in entries if entry.is_dir())
    except OSError:
        return []


def files_under(folder, suffixes):
    """The files in a folder and below that end in one of `suffixes`, sorted."""
    found = []
    for base, _, names in os.walk(folder):
        found += [os.path.join(base, name) for name in names if _is(name, suffixes)]
    return sorted(found)


def pictures_by_stem(folders):
    """{stem: path} of the pictures in folders; where two have one stem, of the first."""
    found = {}
    for folder in folders:
        for name in names_in(folder, PICTURES):
            found.setdefault(os.path.splitext(name)[0], os.path.join(folder, name))
    return found


def _is(name, suffixes):
    """Whether a file ends in one of `suffixes` and is not hidden, as "._a.jpg" of a Mac is."""
    return name.lower().endswith(suffixes) and not name.startswith(".")
