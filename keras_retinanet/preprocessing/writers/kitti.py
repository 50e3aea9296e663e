"""KITTI: training/image_2, a text file for each image in training/label_2, ImageSets/SPLIT.txt."""

from collections.abc import Iterator, Sequence

from ...errors import InputError
from ..dataset import Dataset, Record, warn_counted
from . import content
from .files import Output

BEFORE = "-1 -1 -10"  # truncated, occluded, alpha: not known
AFTER = "-1 -1 -1 -1000 -1000 -1000 -10"  # dimensions, location, rotation_y: not known


def write_kitti(
    dataset: Dataset, folder: str, split: str = "train", image_files: str = "copy"
) -> None:
    """Write the 2D boxes in rows of KITTI's 15 columns, ignored boxes as DontCare.

    A class name with spaces gets underscores, with a warning. Arguments: see `writers`.
    """
    places = "training/image_2", "training/label_2"
    output = Output(dataset, folder, split, image_files, *places)
    classes = _classes(dataset.class_names)
    texts = output.label_files(".txt", ("".join(_rows(r, classes)) for r in dataset.records))
    texts[output.path(f"ImageSets/{split}.txt")] = output.image_list()
    output.store(texts)
    content.warn_left_out(dataset, "classes of ignored boxes", classes=True)
    spaced = [repr(name) for name in dataset.class_names if name not in classes]
    warn_counted("Put underscores into", spaced, len(classes), "class names", level=3)


def _classes(names: Sequence[str]) -> list[str]:
    content.check_class_names(names)
    words = ["_".join(name.split()) for name in names]
    content.check_class_names(words)
    if "dontcare" in map(str.casefold, words):
        raise InputError("KITTI calls ignored boxes DontCare; rename the class of that name.")
    return words


def _rows(record: Record, classes: Sequence[str]) -> Iterator[str]:
    for box, label, ignored in content.rows_of(record):
        word = "DontCare" if ignored else classes[label]
        yield f"{word} {BEFORE} {' '.join(map(content.plain, box))} {AFTER}\n"
