"""What the writers do on disk: name the pictures, bring them, and replace no file."""

import os
import shutil
from collections import Counter

from keras_retinanet.errors import InputError
from keras_retinanet.preprocessing.readers.files import PICTURES
from keras_retinanet.preprocessing.writers.content import UNFIT
from keras_retinanet.utils.outputs import write_text
from keras_retinanet.utils.text import listed, read_text


def picture_names(records, taken=()):
    """A file name for each picture: its own, or as in "name_2.jpg" where that is taken.

    They differ in more than the ending and the case of letters: annotation files are named after
    them, and some disks do not tell the cases apart.

    Args:
        taken: file names that are in use already.
    """
    used = {os.path.splitext(name)[0].casefold() for name in taken}
    counts = Counter()
    names = []
    for record in records:
        name = UNFIT.sub("_", os.path.basename(record.path)).replace("\\", "_")
        own, ending = os.path.splitext(name.strip())
        stem = own = own.strip(" .") or "picture"  # readers skip hidden files
        while stem.casefold() in used:
            counts[own.casefold()] += 1
            stem = f"{own}_{counts[own.casefold()] + 1}"
        used.add(stem.casefold())
        names.append(stem + ending)
    return names


def check_endings(records):
    """Raises InputError for a picture that readers do not find by the ending of its name."""
    for record in records:
        if not record.path.lower().endswith(PICTURES):
            raise InputError(f"{record.path}: expected a picture named as {listed(PICTURES)}")


def held(*folders):
    """The names of what is in the folders, those that exist."""
    return [name for folder in folders if os.path.isdir(folder) for name in os.listdir(folder)]


def once(path, text):
    """{path: text} of a file that all sets of a folder share, {} where an earlier one wrote it.

    Raises:
        InputError: for a file there that says something else.
    """
    if not os.path.lexists(path):
        return {path: text}
    if read_text(path).splitlines() != text.splitlines():
        raise InputError(f"{path}: expected the classes of this set, in its order")
    return {}


def store(records, texts, targets, pictures, own=(), replaced=()):
    """Writes files and brings the pictures, or raises before anything is written.

    Args:
        texts: {path: text}.
        targets: the path for each record's picture.
        pictures: "copy", "link" (a second name of the same file; a copy where that cannot be), or
            "none".
        own: folders of this set alone, which must be empty if they are there.
        replaced: paths of `texts` that may exist.

    Raises:
        InputError: names what is in the way, or the folder of pictures that would be written to.
    """
    if pictures == "none":
        targets, own = [], []
    folders = {os.path.dirname(path) for path in (*texts, *targets)}
    sources = {os.path.dirname(record.path) or "." for record in records}
    both = {os.path.realpath(path) for path in folders} & {os.path.realpath(p) for p in sources}
    if both:
        raise InputError(f"{min(both)}: expected another folder than that of the pictures to read")
    full = [os.path.join(path, name) for path in own for name in held(path)]
    full += [path for path in (*texts, *targets) if os.path.lexists(path) and path not in replaced]
    if full:
        raise InputError(f"{min(full)}: is in the way, and no file is replaced")
    for path in (*folders, *own):
        os.makedirs(path, exist_ok=True)
    for record, target in zip(records, targets, strict=False):
        _bring(record.path, target, pictures)
    for path, text in texts.items():
        write_text(path, text)


def _bring(source, target, pictures):
    """Copies a picture, or gives it a second name."""
    if pictures == "link":
        try:
            os.link(os.path.realpath(source), target)
            return
        except OSError:  # another disk, or one that knows no links
            pass
    shutil.copy2(source, target)
