"""Data sets on disk: recognize the format of a path, and read one split as a `Dataset`."""

import dataclasses
import os
from collections.abc import Mapping, Sequence
from typing import Any

from keras_retinanet.choices import TRAIN_SPLITS, VAL_SPLITS
from keras_retinanet.errors import InputError
from keras_retinanet.preprocessing.dataset import Dataset, checked, report_outside, with_classes
from keras_retinanet.preprocessing.readers import READERS, SPLITS
from keras_retinanet.preprocessing.readers.csv import read_classes
from keras_retinanet.preprocessing.readers.recognise import kind_of
from keras_retinanet.utils.text import listed

NAMED = ("csv", "pascal", "kitti", "labelme", "cvat")  # formats without a list of their classes
OPTIONS = {  # further keywords of a format's reader
    "pascal": ("image_extension", "skip_truncated", "skip_difficult", "one_based"),
    "oid": ("version", "labels_filter", "parent_label"),
}


@dataclasses.dataclass(frozen=True)
class DataSource:
    """Annotations on disk, not yet read.

    Args:
        kind: the format of the annotations, a key of `READERS`.
        classes: the class names in label order, or a class file of rows `name,id`. None takes the
            class names in the annotations. Formats that list their classes ignore this argument.
        images: the folder of the images, if it is not the format's usual one.
        options: keywords of the format's reader, see `OPTIONS`.
    """

    kind: str
    path: str
    classes: str | os.PathLike | Sequence[str] | None = None
    images: str | None = None
    options: Mapping = dataclasses.field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.kind not in READERS:
            raise InputError(f"Unknown kind of data set: {self.kind!r}; known: {listed(READERS)}.")
        known = OPTIONS.get(self.kind, ())
        for name in self.options:
            if name not in known:
                raise InputError(
                    f"{self.kind}: unknown option {name!r}; known: {', '.join(known) or 'none'}."
                )

    def splits(self) -> list[str]:
        """Return the names of the splits at the path, [] if it holds one split without a name."""
        return SPLITS[self.kind](self.path) if self.kind in SPLITS else []

    def choose_split(
        self, wanted: str | None = None, usual: Sequence[str] = (), needed: bool = True
    ) -> str | None:
        """Return the wanted split, else the first usual split that exists, else the only split.

        Returns None for data without named splits, and if no usual split exists and none is
        `needed`.

        Raises:
            InputError: a split is wanted but the data have no named splits, or there are several
                splits and none of the usual ones.
        """
        splits = self.splits()
        if wanted and not splits:
            raise InputError(f"{self.path} has no named splits; remove the split {wanted!r}.")
        if wanted or not splits:
            return wanted
        found = next((name for name in usual if name in splits), None)
        if found or not needed:
            return found
        if len(splits) == 1:
            return splits[0]
        raise InputError(f"{self.path} has the splits {listed(splits)}; choose one of them.")

    def read(
        self,
        split: str | None = None,
        classes: Sequence[str] | None = None,
        faults: list[str] | None = None,
    ) -> Dataset:
        """Return the `Dataset` of a split, not yet checked.

        Args:
            classes: the class names to expect if neither the annotations nor the source list them.
            faults: a list that gets a line for each entry that cannot be read; None raises the
                first one.
        """
        arguments = {"images_dir": self.images, "faults": faults, **self.options}
        classes = self.class_names() or classes
        if self.kind in SPLITS:
            arguments["split"] = split
        if self.kind in NAMED:
            arguments["classes"] = classes
        reader: Any = READERS[self.kind]
        return reader(self.path, **arguments)

    def class_names(self) -> list[str] | None:
        """Return the names in `classes` in label order, None without `classes`."""
        if self.classes is None:
            return None
        if isinstance(self.classes, (str, os.PathLike)):
            labels = read_classes(self.classes)
            return sorted(labels, key=labels.get)
        return list(self.classes)


def open_dataset(
    path: str | os.PathLike,
    kind: str | None = None,
    split: str | None = None,
    classes: str | os.PathLike | Sequence[str] | None = None,
    images: str | None = None,
    usual: Sequence[str] = (),
    **options: Any,
) -> Dataset:
    """Read a data set in any supported format.

    Images that cannot be read and boxes without area are dropped with a warning.

    Args:
        path: the annotation file, or the data set's folder.
        kind: the format, a key of `readers.READERS`; None recognizes it.
        split: such as "train" or "val2017"; None takes the only split.
        classes: the class names in label order, or a class file of rows `name,id`.
        images: the folder of the images, if it is not the format's usual one.
        usual: the splits to take if `split` is None and there are several, most preferred first.
        **options: options of the format, see `OPTIONS`.

    Raises:
        InputError: names the file, and the line or entry, that cannot be used.
    """
    path = os.fspath(path)
    source = DataSource(kind or kind_of(path), path, classes, images, options)
    dataset = source.read(source.choose_split(split, usual))
    dataset = with_classes(dataset, source.class_names() or dataset.class_names)
    return checked(dataset, need_boxes=False)


def read_training(
    source: DataSource,
    train_split: str | None = None,
    val_split: str | None = None,
    val_path: str | None = None,
    want_val: bool = True,
) -> tuple[Dataset, Dataset | None]:
    """Return (training data, validation data or None), not yet checked, with the same classes.

    Args:
        val_path: annotations of the same kind to validate on, instead of a split of `source`.
        want_val: False skips the validation split, unless `val_path` is given.
    """
    train = source.read(source.choose_split(train_split, TRAIN_SPLITS))
    names = train.class_names
    if val_path:
        val = dataclasses.replace(source, path=val_path).read(classes=names)
    else:
        chosen = source.choose_split(val_split, VAL_SPLITS, needed=False) if want_val else None
        val = source.read(chosen, names) if chosen else None
    return train, with_classes(val, names) if val else None


@dataclasses.dataclass(frozen=True)
class TrainingData:
    """The data of a training on disk, not yet read; `val_path` is as in `read_training`."""

    source: DataSource
    split: str | None = None
    val_split: str | None = None
    val_path: str | None = None

    @property
    def kind(self) -> str:
        return self.source.kind

    def read(self, want_val: bool = True) -> tuple[Dataset, Dataset | None]:
        """Return what `read_training` does."""
        return read_training(self.source, self.split, self.val_split, self.val_path, want_val)

    def described(self) -> dict[str, Any]:
        """Return the fields for JSON, with absolute paths; `from_description` reads them."""
        held = dataclasses.asdict(self)
        classes = self.source.classes
        if isinstance(classes, (str, os.PathLike)):
            held["source"]["classes"] = os.path.abspath(classes)
        for place, name in (("source", "path"), ("source", "images"), (None, "val_path")):
            fields = held[place] if place else held
            fields[name] = fields[name] and os.path.abspath(fields[name])
        return held

    @classmethod
    def from_description(cls, held: Mapping[str, Any]) -> "TrainingData":
        return cls(**{**held, "source": DataSource(**held["source"])})


@dataclasses.dataclass(frozen=True)
class OpenData:
    """The data of a training as data sets in memory."""

    train: Dataset
    val: Dataset | None = None
    kind: str = "dataset"

    def read(self, want_val: bool = True) -> tuple[Dataset, Dataset | None]:
        return self.train, self.val

    def described(self) -> None:
        """Return None: data sets in memory cannot be read again."""


def read_splits(
    source: DataSource,
    splits: Sequence[str] | None = None,
    val_path: str | None = None,
    tolerant: bool = True,
) -> dict[str, tuple[Dataset, list[str] | None]]:
    """Return {split: (Dataset, faults)} of several splits, not yet checked.

    The splits share one list of classes: the first split's classes, then those that other splits
    add.

    Args:
        splits: names of splits; None takes all splits that share no image.
        val_path: annotations of the same kind, added as "val".
        tolerant: collect entries that cannot be read as faults; False raises an InputError.
    """
    for name in splits or ():
        source.choose_split(name)
    names = splits or disjoint(source.splits())
    wanted = [(name, name, source) for name in names] or [("train", None, source)]
    if val_path:
        held_out = dataclasses.replace(source, path=val_path)
        wanted.append(("val", "val" if held_out.splits() else None, held_out))
    found = {}
    for name, split, at in wanted:
        faults: list[str] | None = [] if tolerant else None
        found[name] = at.read(split, faults=faults), faults
        if tolerant:  # else `checked` warns
            report_outside(found[name][0])
    classes = dict.fromkeys(name for data, _ in found.values() for name in data.class_names)
    return {
        name: (with_classes(data, list(classes)), faults) for name, (data, faults) in found.items()
    }


def disjoint(splits: list[str]) -> list[str]:
    """Return the splits that share no image, training splits first.

    Leaves out "trainval" beside "train" and "val", and Pascal VOC's lists of one class, such as
    "cow_train" beside "train".

    >>> disjoint(["cow_train", "test", "train", "trainval", "val"])
    ['train', 'val', 'test']
    """
    if {"train", "val"} <= set(splits):
        splits = [name for name in splits if name != "trainval"]
    splits = [name for name in splits if not any(name.endswith(f"_{other}") for other in splits)]
    ranks = {name: rank for rank, name in enumerate((*TRAIN_SPLITS, *VAL_SPLITS, "test"))}
    return sorted(splits, key=lambda name: (ranks.get(name, len(ranks)), name))
