"""Open Images: the CSV files of a subset and of the classes, and the images in images/SPLIT."""

from collections.abc import Iterator, Sequence

from ..dataset import Dataset
from ..readers.files import IMAGE_SUFFIXES
from . import content
from .files import Output

BOX_COLUMNS = (
    "ImageID,Source,LabelName,Confidence,XMin,XMax,YMin,YMax,"
    "IsOccluded,IsTruncated,IsGroupOf,IsDepiction,IsInside"
)
IMAGE_COLUMNS = (
    "ImageID,Subset,OriginalURL,OriginalLandingURL,License,AuthorProfileURL,Author,Title,"
    "OriginalSize,OriginalMD5,Thumbnail300KURL,Rotation"
)
UNKNOWN = -1


def write_open_images(
    dataset: Dataset, folder: str, split: str = "train", image_files: str = "copy"
) -> None:
    """Write boxes as shares of the image, ignored boxes as groups.

    An image's id is its file name without the suffix, which only a name like a.jpg.png keeps; class
    i is /m/i. Arguments: see `writers`.
    """
    output = Output(dataset, folder, split, image_files, "images/{}")
    content.check_class_names(dataset.class_names)
    names = zip(output.stems, output.names, strict=True)
    ids = [name if stem.lower().endswith(IMAGE_SUFFIXES) else stem for stem, name in names]
    classes = ((f"/m/{label}", name) for label, name in enumerate(dataset.class_names))
    texts = output.shared("class-descriptions-boxable.csv", content.csv_text(classes))
    images = [(image_id, split, *[""] * 9, 0) for image_id in ids]
    for name, columns, rows in (
        (f"{split}-annotations-bbox.csv", BOX_COLUMNS, _boxes(dataset, ids)),
        (f"{split}-images-with-rotation.csv", IMAGE_COLUMNS, images),
    ):
        texts[output.path(name)] = content.csv_text([columns.split(","), *rows])
    output.store(texts)
    content.warn_left_out(dataset)


def _boxes(dataset: Dataset, ids: Sequence[str]) -> Iterator[tuple]:
    for record, image_id in zip(dataset.records, ids, strict=True):
        width, height = record.size
        for (x1, y1, x2, y2), label, ignored in content.rows_of(record):
            sides = (x1, width), (x2, width), (y1, height), (y2, height)
            shares = [content.share(*pair) for pair in sides]
            marks = UNKNOWN, UNKNOWN, int(ignored), UNKNOWN, UNKNOWN
            yield (image_id, "xclick", f"/m/{label}", 1, *shares, *marks)
