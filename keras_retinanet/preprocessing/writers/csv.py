"""CSV: SET.csv with a row for each box, classes.csv, and the pictures in images/SET."""

import os

from keras_retinanet.errors import InputError
from keras_retinanet.preprocessing.writers import content, files


def write_csv(dataset, folder, set_name="train", pictures="copy"):
    """Writes rows `path,x1,y1,x2,y2,class`, or `path,,,,,` for an image without boxes.

    Boxes to be ignored are left out, with a warning.

    Args:
        dataset: one that `checked` returned.
        folder: may hold other sets of the same classes.
        set_name: names the annotation file and the folder of pictures.
        pictures: "copy", "link", or "none": rows then name the pictures where they are.

    Raises:
        InputError: before anything is written, where a name does not fit or a file is in the way.
    """
    content.check(dataset, set_name, pictures, ("copy", "link", "none"))
    content.check_class_names(dataset.class_names)
    if set_name == "classes":
        raise InputError("Expected the name of a set other than 'classes', that of the class file")
    names = files.picture_names(dataset.records)
    paths = [f"images/{set_name}/{name}" for name in names]
    if pictures == "none":
        paths = [os.path.abspath(record.path) for record in dataset.records]
        for path in paths:
            if content.UNFIT.search(path) or path != path.strip():
                raise InputError(f"{path!r}: expected a path that fits into a row of text")
    texts = {
        os.path.join(folder, f"{set_name}.csv"): content.csv_text(_rows(dataset, paths)),
        **files.once(
            os.path.join(folder, "classes.csv"),
            content.csv_text((name, label) for label, name in enumerate(dataset.class_names)),
        ),
    }
    images = os.path.join(folder, "images", set_name)
    targets = [os.path.join(images, name) for name in names]
    files.store(dataset.records, texts, targets, pictures, own=[images])
    content.tell_left_out(dataset, ignored="boxes that are to be ignored")


def _rows(dataset, paths):
    for record, path in zip(dataset.records, paths, strict=True):
        boxes = content.decimals(record.boxes[~record.ignore])
        for box, label in zip(boxes, record.labels[~record.ignore], strict=True):
            yield (path, *map(content.plain, box), dataset.class_names[label])
        if not boxes:
            yield (path, "", "", "", "", "")
