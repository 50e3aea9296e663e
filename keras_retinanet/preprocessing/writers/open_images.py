"""Open Images: the CSV files of a subset and of the classes, and the pictures in images/SET."""

import os

from keras_retinanet.preprocessing.readers.files import PICTURES, stem
from keras_retinanet.preprocessing.writers import content, files

BOX_COLUMNS = (
    "ImageID,Source,LabelName,Confidence,XMin,XMax,YMin,YMax,"
    "IsOccluded,IsTruncated,IsGroupOf,IsDepiction,IsInside"
)
IMAGE_COLUMNS = (
    "ImageID,Subset,OriginalURL,OriginalLandingURL,License,AuthorProfileURL,Author,Title,"
    "OriginalSize,OriginalMD5,Thumbnail300KURL,Rotation"
)
UNKNOWN = -1


def write_open_images(dataset, folder, set_name="train", pictures="copy"):
    """Writes boxes as shares of the picture, those to be ignored as groups.

    An image's id is its file name without the ending; class i is /m/i.

    Args:
        dataset: one that `checked` returned.
        folder: may hold other sets of the same classes.
        set_name: the subset; names its files and the folder of pictures.
        pictures: "copy" or "link".

    Raises:
        InputError: before anything is written, where a name does not fit or a file is in the way.
    """
    content.check(dataset, set_name, pictures)
    files.check_endings(dataset.records)
    content.check_class_names(dataset.class_names)
    names = files.picture_names(dataset.records)
    ids = [_image_id(name) for name in names]
    lists = {
        f"{set_name}-annotations-bbox.csv": [BOX_COLUMNS.split(","), *_boxes(dataset, ids)],
        f"{set_name}-images-with-rotation.csv": [
            IMAGE_COLUMNS.split(","),
            *((image_id, set_name, *[""] * 9, 0) for image_id in ids),
        ],
    }
    texts = {os.path.join(folder, name): content.csv_text(rows) for name, rows in lists.items()}
    classes = content.csv_text(
        (f"/m/{label}", name) for label, name in enumerate(dataset.class_names)
    )
    texts |= files.once(os.path.join(folder, "class-descriptions-boxable.csv"), classes)
    images = os.path.join(folder, "images", set_name)
    targets = [os.path.join(images, name) for name in names]
    files.store(dataset.records, texts, targets, pictures, own=[images])
    content.tell_left_out(dataset)


def _image_id(name):
    """A picture's name without its ending, unless another follows that would be taken for it."""
    return name if stem(name).lower().endswith(PICTURES) else stem(name)


def _boxes(dataset, ids):
    for record, image_id in zip(dataset.records, ids, strict=True):
        width, height = record.size
        boxes = content.decimals(record.boxes)
        for (x1, y1, x2, y2), label, ignore in zip(
            boxes, record.labels, record.ignore, strict=True
        ):
            sides = (x1, width), (x2, width), (y1, height), (y2, height)
            shares = [content.share(*pair) for pair in sides]
            marks = UNKNOWN, UNKNOWN, int(ignore), UNKNOWN, UNKNOWN
            yield (image_id, "xclick", f"/m/{label}", 1, *shares, *marks)
