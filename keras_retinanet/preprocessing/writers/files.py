"""The files of a written split: names for the images, copies, and nothing replaced."""

import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from ...errors import InputError
from ...utils.outputs import all_or_none, copy_file, make_folder, write_bytes, write_text
from ...utils.packed import image_name, image_source, is_packed
from ...utils.text import listed, read_text
from ..dataset import Dataset, Record
from ..readers.files import IMAGE_SUFFIXES
from . import content

OTHER_CLASSES = "has other classes, or another order of them; choose another folder."


class Output:
    """A split to be written into a folder, with a file name for each image.

    Args:
        images: the folder of the images in `folder`; "{}" is the split. Without it, splits share
            the folder.
        labels: the folder of the annotation files, if each image has one.
        modes: the choices for `image_files`.
        any_suffix: readers of the format also find images with unusual suffixes.
    """

    def __init__(
        self,
        dataset: Dataset,
        folder: str,
        split: str,
        image_files: str,
        images: str,
        labels: str | None = None,
        modes: Sequence[str] = ("copy", "link"),
        any_suffix: bool = False,
    ) -> None:
        content.check(dataset, split, image_files, modes)
        for record in dataset.records:
            if is_packed(record.path) and image_files == "none":
                way = "pass image_files='copy' to write it"
                raise InputError(f"{record.path}: the image is only in this file; {way}.")
            if not any_suffix and not image_name(record.path).lower().endswith(IMAGE_SUFFIXES):
                raise InputError(
                    f"{record.path}: the format has only images named {listed(IMAGE_SUFFIXES)}; "
                    "convert the image."
                )
        self.records, self.folder, self.image_files = dataset.records, folder, image_files
        self.folders = [self.path(part.format(split)) for part in (images, labels) if part]
        self.own = self.folders if "{}" in images else []
        self.names = image_names(self.records, () if self.own else _held(self.folders))
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
            raise InputError(f"{path} {OTHER_CLASSES}")
        return {}

    def store(self, texts: Mapping[str, str], replaced: Iterable[str] = ()) -> None:
        """Write files and copy the images, all or none.

        Args:
            texts: {path: text}.
            replaced: paths of `texts` that may exist.
        """
        bring = self.image_files != "none"
        targets = [os.path.join(self.folders[0], name) for name in self.names] if bring else []
        own = self.own if bring else []
        folders = {os.path.dirname(path) for path in (*texts, *targets)}
        sources = {os.path.realpath(os.path.dirname(r.path) or ".") for r in self.records}
        both = {os.path.realpath(path) for path in folders} & sources
        if both:
            raise InputError(f"{min(both)} holds the input images; choose another folder.")
        paths = {path for path in (*texts, *targets) if os.path.lexists(path)} - set(replaced)
        full = [*paths, *(os.path.join(path, name) for path in own for name in _held([path]))]
        if full:
            raise InputError(f"{min(full)} is in the way; remove it, or choose another folder.")
        with all_or_none():
            for path in (*folders, *own):
                make_folder(path)
            for record, target in zip(self.records, targets, strict=False):
                if is_packed(record.path):
                    write_bytes(target, image_source(record.path).getvalue())
                else:
                    copy_file(record.path, target, link=self.image_files == "link")
            for path, text in texts.items():
                write_text(path, text)


def image_names(records: Sequence[Record], taken: Iterable[str] = ()) -> list[str]:
    """Return a file name for each image: its name, or as in "name_2.jpg" if that is taken.

    Names differ in more than the suffix and the case of letters, because annotation files are named
    after them and some disks ignore case.
    """
    used = {os.path.splitext(name)[0].casefold() for name in taken}
    counts: Counter[str] = Counter()
    names = []
    for record in records:
        name = content.UNFIT.sub("_", image_name(record.path)).replace("\\", "_")
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
