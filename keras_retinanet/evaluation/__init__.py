"""Metrics from detections: COCO's and Pascal VOC's, and their report."""

from keras_retinanet.evaluation.coco import evaluate_coco, ground_truth, results
from keras_retinanet.evaluation.report import report, summary, write_json
from keras_retinanet.evaluation.voc import evaluate_voc, mean_average_precision, voc_metric

__all__ = [
    "evaluate_coco",
    "evaluate_voc",
    "ground_truth",
    "mean_average_precision",
    "report",
    "results",
    "summary",
    "voc_metric",
    "write_json",
]
