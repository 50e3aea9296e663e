"""Writers of annotation files: functions that write a `Dataset` to a folder, without Keras."""

from keras_retinanet.preprocessing.writers.coco import write_coco
from keras_retinanet.preprocessing.writers.csv import write_csv
from keras_retinanet.preprocessing.writers.kitti import write_kitti
from keras_retinanet.preprocessing.writers.open_images import write_open_images
from keras_retinanet.preprocessing.writers.pascal_voc import write_pascal
from keras_retinanet.preprocessing.writers.yolo import write_yolo

WRITERS = {
    "csv": write_csv,
    "coco": write_coco,
    "pascal": write_pascal,
    "kitti": write_kitti,
    "oid": write_open_images,
    "yolo": write_yolo,
}
