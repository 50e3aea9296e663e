"""Writers of annotation files: functions that write a `Dataset` to a folder, without Keras.

Arguments that they share:
    dataset: one that `checked` returned.
    folder: may hold other splits; if the format lists its classes, they must have the same ones.
    split: the split, which names its files and folders.
    image_files: "copy" the images; "link" them (a second name of the same file, or a copy if that
        fails); or, for CSV and COCO, "none": the annotations name the images where they are.

All raise InputError before anything is written if a name does not fit or a file already exists.
"""

from .coco import write_coco
from .csv import write_csv
from .kitti import write_kitti
from .open_images import write_open_images
from .pascal_voc import write_pascal
from .yolo import write_yolo

WRITERS = {
    "csv": write_csv,
    "coco": write_coco,
    "pascal": write_pascal,
    "kitti": write_kitti,
    "oid": write_open_images,
    "yolo": write_yolo,
}
