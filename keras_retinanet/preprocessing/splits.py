"""The usual names of splits, most preferred first. Imports nothing."""

TRAIN_SPLITS = ("train", "train2017", "training", "trainval")
VAL_SPLITS = ("val", "val2017", "valid", "validation")
TEST_SPLITS = ("test", *VAL_SPLITS)


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
