"""Readers of annotation files: functions that return a `Dataset`. None of them imports Keras."""

from keras_retinanet.preprocessing.readers import coco, kitti, open_images, pascal_voc, yolo
from keras_retinanet.preprocessing.readers.coco import read_coco
from keras_retinanet.preprocessing.readers.csv import read_csv
from keras_retinanet.preprocessing.readers.cvat import read_cvat
from keras_retinanet.preprocessing.readers.kitti import read_kitti
from keras_retinanet.preprocessing.readers.labelme import read_labelme
from keras_retinanet.preprocessing.readers.open_images import read_open_images
from keras_retinanet.preprocessing.readers.pascal_voc import read_pascal
from keras_retinanet.preprocessing.readers.yolo import read_yolo

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
SETS = {  # the names of the sets in a folder, for the formats that have them
    "coco": coco.sets,
    "pascal": pascal_voc.sets,
    "kitti": kitti.sets,
    "oid": open_images.sets,
    "yolo": yolo.sets,
}
