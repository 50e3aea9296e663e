"""Readers of annotation files: functions that return a `Dataset`. None of them imports Keras."""

from keras_retinanet.preprocessing.readers.coco import read_coco
from keras_retinanet.preprocessing.readers.csv import read_csv
from keras_retinanet.preprocessing.readers.pascal_voc import read_pascal

READERS = {"csv": read_csv, "coco": read_coco, "pascal": read_pascal}
