"""CSV: SPLIT.csv with a row for each box, classes.csv, and the images in images/SPLIT."""

import os
from collections.abc import Iterator, Sequence

from ...errors import InputError
from ..dataset import Dataset
from . import content
from .files import Output


def write_csv(
    dataset: Dataset, folder: str, split: str = "train", image_files: str = "copy"
) -> None:
    """Write rows `path,x1,y1,x2,y2,class`, or `path,,,,,` for an image without boxes.

    Ignored boxes are left out, with a warning. Arguments: see `writers`.
    """
    modes = ("copy", "link", "none")
    images = "images/{}"
    output = Output(dataset, folder, split, image_files, images, modes=modes, any_suffix=True)
    content.check_class_names(dataset.class_names)
    if split == "classes":
        raise InputError("The split 'classes' would overwrite the class file; rename the split.")
    paths = [f"images/{split}/{name}" for name in output.names]
    if image_files == "none":
        paths = [os.path.abspath(record.path) for record in dataset.records]
        for path in paths:
            if content.UNFIT.search(path) or path != path.strip():
                raise InputError(f"{path!r} does not fit into a row of text; rename the file.")
    classes = content.csv_text((name, label) for label, name in enumerate(dataset.class_names))
    texts = output.shared("classes.csv", classes)
    texts[output.path(f"{split}.csv")] = content.csv_text(_rows(dataset, paths))
    output.store(texts)
    content.warn_left_out(dataset, ignored="ignored boxes")


def _rows(dataset: Dataset, paths: Sequence[str]) -> Iterator[tuple]:
    for record, path in zip(dataset.records, paths, strict=True):
        for box, label, _ in content.rows_of(record, with_ignored=False):
            yield (path, *map(content.plain, box), dataset.class_names[label])
        if record.ignore.all():
            yield (path, "", "", "", "", "")
