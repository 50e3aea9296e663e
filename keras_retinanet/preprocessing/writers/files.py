"""Files of the writers: name the images, bring them, and replace nothing."""

import os
import shutil
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from ...errors import InputError
from ...utils.outputs import write_text
from ...utils.text import listed, read_text
from ..dataset import Dataset, Record
from ..readers.files import PICTURES
from . import content


class Output:
    """A split of a data set on its way to a folder, with a file name for each image.

    Args:
        images: the folder of the images in `folder`; "{}" is the split. Without it, splits share
            the folder.
        labels: the folder of the annotation files, if each image has one.
        modes: the choices for `pictures`.
        any_suffix: readers of the format also find images with unusual suffixes.
    """

    def __init__(
        self,
        dataset: Dataset,
        folder: str,
        set_name: str,
        pictures: str,
        images: str,
        labels: str | None = None,
        modes: Sequence[str] = ("copy", "link"),
        any_suffix: bool = False,
    ) -> None:
        content.check(dataset, set_name, pictures, modes)
        for record in dataset.records:
            if not any_suffix and not record.path.lower().endswith(PICTURES):
                expected = f"expected an image named as {listed(PICTURES)}"
                raise InputError(f"{record.path}: {expected}.")
        self.records, self.folder, self.pictures = dataset.records, folder, pictures
        self.folders = [self.path(part.format(set_name)) for part in (images, labels) if part]
        self.own = self.folders if "{}" in images else []
        self.names = picture_names(self.records, () if self.own else _held(self.folders))
        self.stems = [os.path.splitext(name)[0] for name in self.names]

    def path(self, name: str) -> str:
        """Return the path of a name in the folder of the data set."""
        return os.path.join(self.folder, *name.split("/"))

    def label_files(self, suffix: str, texts: Iterable[str]) -> dict[str, str]:
        """Return {path: text} of an annotation file for each image."""
        paths = [os.path.join(self.folders[1], f"{stem}{suffix}") for stem in self.stems]
        return dict(zip(paths, texts, strict=True))

    def image_list(self) -> str:
        """Return the text of a list of the images."""
        return "\n".join([*self.stems, ""])

    def shared(self, name: str, text: str) -> dict[str, str]:
        """Return {path: text} of a file of all splits, {} if an earlier split wrote it.

        Raises:
            InputError: the file is there with another text.
        """
        path = self.path(name)
        if not os.path.lexists(path):
            return {path: text}
        if read_text(path).splitlines() != text.splitlines():
            raise InputError(f"{path}: expected the classes of this split, in its order.")
        return {}

    def store(self, texts: Mapping[str, str], replaced: Iterable[str] = ()) -> None:
        """Write files and bring the images, or raise before anything is written.

        Args:
            texts: {path: text}.
            replaced: paths of `texts` that may exist.
        """
        bring = self.pictures != "none"
        targets = [os.path.join(self.folders[0], name) for name in self.names] if bring else []
        own = self.own if bring else []
        folders = {os.path.dirname(path) for path in (*texts, *targets)}
        sources = {os.path.realpath(os.path.dirname(r.path) or ".") for r in self.records}
        both = {os.path.realpath(path) for path in folders} & sources
        if both:
            raise InputError(f"{min(both)}: expected another folder than that of the input images.")
        paths = {path for path in (*texts, *targets) if os.path.lexists(path)} - set(replaced)
        full = [*paths, *(os.path.join(path, name) for path in own for name in _held([path]))]
        if full:
            raise InputError(f"{min(full)}: is in the way; no file is replaced.")
        for path in (*folders, *own):
            os.makedirs(path, exist_ok=True)
        for record, target in zip(self.records, targets, strict=False):
            _bring(record.path, target, self.pictures)
        for path, text in texts.items():
            write_text(path, text)


def picture_names(records: Sequence[Record], taken: Iterable[str] = ()) -> list[str]:
    """Return a file name for each image: its name, or as in "name_2.jpg" if that is taken.

    They differ in more than the suffix and the case of letters: annotation files are named after
    them, and some disks ignore case.
    """
    used = {os.path.splitext(name)[0].casefold() for name in taken}
    counts: Counter[str] = Counter()
    names = []
    for record in records:
        name = content.UNFIT.sub("_", os.path.basename(record.path)).replace("\\", "_")
        first, suffix = os.path.splitext(name.strip())
        stem = first = first.strip(" .") or "image"  # readers skip hidden files
        while stem.casefold() in used:
            counts[first.casefold()] += 1
            stem = f"{first}_{counts[first.casefold()] + 1}"
        used.add(stem.casefold())
        names.append(stem + suffix)
    return names


def _held(folders: Iterable[str]) -> list[str]:
    """Return the names of the files in those folders that exist."""
    return [name for folder in filter(os.path.isdir, folders) for name in os.listdir(folder)]


def _bring(source: str, target: str, mode: str) -> None:
    """Copy an image, or link it if that is asked for and can be."""
    if mode == "link":
        try:
            os.link(os.path.realpath(source), target)
            return
        except OSError:  # another disk, or one that knows no links
            pass
    shutil.copy2(source, target)
