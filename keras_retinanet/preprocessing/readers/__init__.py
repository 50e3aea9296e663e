"""Readers of annotation files: functions that return a `Dataset`. None of them imports Keras.

Arguments that they share:
    split: the split to read, such as "train"; None takes the only split.
    classes: the class names in label order, or {name: label}; None takes the names found, sorted.
    images_dir: the folder of the images; None takes the format's usual folders.
    faults: a list that gets a line for each entry that cannot be read, and is left out; None raises
        an InputError at the first, with the file and the line or entry.
"""

from . import coco, kitti, open_images_files, pascal_voc, yolo
from .coco import read_coco
from .csv import read_csv
from .cvat import read_cvat
from .kitti import read_kitti
from .labelme import read_labelme
from .open_images import read_open_images
from .pascal_voc import read_pascal
from .yolo import read_yolo

READERS = {
    "csv": read_csv,
    "coco": read_coco,
    "pascal": read_pascal,
    "kitti": read_kitti,
    "oid": read_open_images,
    "yolo": read_yolo,
    "labelme": read_labelme,
    "cvat": read_cvat,
}
SPLITS = {  # functions that list the splits in a folder, for the formats that have splits
    "coco": coco.splits,
    "pascal": pascal_voc.splits,
    "kitti": kitti.splits,
    "oid": open_images_files.splits,
    "yolo": yolo.splits,
}
