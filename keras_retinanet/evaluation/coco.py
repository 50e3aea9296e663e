"""COCO's figures for the detections of a data set, computed by pycocotools in memory."""

import contextlib
import io
import numbers

import numpy as np

ALL = slice(None)

# name: (array of COCOeval, IoU threshold, area range, limit on detections), as indices into it
FIGURES = {
    "AP": ("precision", ALL, 0, 2),
    "AP50": ("precision", 0, 0, 2),
    "AP75": ("precision", 5, 0, 2),
    "APs": ("precision", ALL, 1, 2),
    "APm": ("precision", ALL, 2, 2),
    "APl": ("precision", ALL, 3, 2),
    "AR1": ("recall", ALL, 0, 0),
    "AR10": ("recall", ALL, 0, 1),
    "AR100": ("recall", ALL, 0, 2),
    "ARs": ("recall", ALL, 1, 2),
    "ARm": ("recall", ALL, 2, 2),
    "ARl": ("recall", ALL, 3, 2),
}


def image_ids(dataset):
    """COCO image ids: the data set's own where all are distinct integers, otherwise 1..n."""
    ids = [record.image_id for record in dataset.records]
    if all(isinstance(i, numbers.Integral) for i in ids) and len(set(ids)) == len(ids):
        return [int(i) for i in ids]
    return list(range(1, len(ids) + 1))


def ground_truth(dataset):
    """The data set as a COCO "instances" dict, ready for JSON.

    Image ids are those of `image_ids`, `iscrowd` marks the ignored boxes, and width and height are
    None for pictures whose size was not read.
    """
    images, annotations = [], []
    for image_id, record in zip(image_ids(dataset), dataset.records, strict=True):
        width, height = record.size or (None, None)
        images.append(
            {"id": image_id, "file_name": str(record.path), "width": width, "height": height}
        )
        rows = zip(
            _xywh(record.boxes),
            record.labels.tolist(),
            record.area.tolist(),
            record.ignore.tolist(),
            strict=True,
        )
        for bbox, label, area, ignore in rows:
            annotations.append(
                {
                    "id": len(annotations) + 1,  # COCOeval reads the id 0 as "not matched"
                    "image_id": image_id,
                    "category_id": int(dataset.category_ids[label]),
                    "bbox": bbox,
                    "area": area,
                    "iscrowd": int(ignore),
                }
            )
    categories = [
        {"id": int(category_id), "name": name}
        for category_id, name in zip(dataset.category_ids, dataset.class_names, strict=True)
    ]
    return {"images": images, "annotations": annotations, "categories": categories}


def results(dataset, detections):
    """Detections as rows of a COCO results file; the image ids are those of `ground_truth`.

    Padding (label -1) and rows that are not finite are left out: NaN is not JSON, and pycocotools
    takes a box of NaN for a perfect match.
    """
    rows = []
    for image_id, detection in zip(image_ids(dataset), detections, strict=True):
        boxes, scores = np.asarray(detection["boxes"]), np.asarray(detection["scores"])
        labels = np.asarray(detection["labels"])
        kept = np.isfinite(boxes).all(axis=-1) & np.isfinite(scores) & (labels >= 0)
        rows += [
            {
                "image_id": image_id,
                "category_id": int(dataset.category_ids[int(label)]),
                "bbox": bbox,
                "score": score,
            }
            for bbox, score, label in zip(
                _xywh(boxes[kept]), scores[kept].tolist(), labels[kept].tolist(), strict=True
            )
        ]
    return rows


def evaluate_coco(dataset, detections, max_detections=100):
    """COCO's twelve figures, and AP and AP50 of each class, for the detections of a data set.

    Args:
        dataset: a `Dataset`.
        detections: one dict per record, in the same order, with boxes (n, 4) xyxy px, scores (n,)
            and labels (n,).
        max_detections: how many detections count, per image and class, best first. AR1 and AR10
            are cut at 1 and 10, all other figures (AR100 too, by its customary name) here.

    Returns:
        A dict of floats in 0..1 by the names in `FIGURES`, and `per_class`: {class name: {"AP",
        "AP50"}}. None stands where there is no ground truth to find: for a figure, or a class.

    Protocol: https://cocodataset.org/#detection-eval. As there, the overlap with an ignored box is
    a part of the detection's own area, and a detection that only such a box matches does not count.
    """
    accumulated = _accumulate(dataset, detections, max_detections)
    metrics = {name: _figure(accumulated, *where) for name, where in FIGURES.items()}
    order = sorted(dataset.category_ids)  # COCOeval's order of classes
    metrics["per_class"] = {
        name: _class_figures(accumulated, order.index(category_id))
        for name, category_id in zip(dataset.class_names, dataset.category_ids, strict=True)
    }
    return metrics


def _accumulate(dataset, detections, max_detections):
    """COCOeval's arrays: precision (10, 101, K, 4, 3) and recall (10, K, 4, 3)."""
    from pycocotools.cocoeval import COCOeval

    if max_detections < 1:
        raise ValueError(f"Expected max_detections of at least 1. Received: {max_detections}")
    truth = ground_truth(dataset)
    found = [
        {**row, "id": i, "area": row["bbox"][2] * row["bbox"][3], "iscrowd": 0}
        for i, row in enumerate(results(dataset, detections), start=1)
    ]
    with contextlib.redirect_stdout(io.StringIO()):  # COCOeval prints its progress
        evaluator = COCOeval(_coco(truth), _coco({**truth, "annotations": found}), "bbox")
        evaluator.params.maxDets = [min(1, max_detections), min(10, max_detections), max_detections]
        evaluator.evaluate()
        evaluator.accumulate()
    return evaluator.eval


def _coco(instances):
    from pycocotools.coco import COCO

    coco = COCO()
    coco.dataset = instances
    coco.createIndex()
    return coco


def _figure(accumulated, what, threshold, area, limit, category=ALL):
    """Mean of the entries that have ground truth (COCOeval marks the others -1), or None."""
    values = accumulated[what][threshold, ..., category, area, limit]
    values = values[values > -1]
    return float(values.mean()) if values.size else None


def _class_figures(accumulated, category):
    figures = {name: _figure(accumulated, *FIGURES[name], category) for name in ("AP", "AP50")}
    return None if figures["AP"] is None else figures


def _xywh(boxes):
    """Boxes (n, 4) xyxy as lists [x, y, width, height], to a thousandth of a pixel."""
    boxes = np.asarray(boxes, np.float64)
    corner, size = boxes[:, :2], boxes[:, 2:] - boxes[:, :2]
    return np.round(np.concatenate([corner, size], axis=1), 3).tolist()
