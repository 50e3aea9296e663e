"""COCO's figures for the detections of a data set, computed by faster-coco-eval in memory."""

from __future__ import annotations

import numbers
from collections.abc import Sequence
from typing import Any

from keras_retinanet.detections import Detections, coco_rows, xywh
from keras_retinanet.preprocessing.dataset import FREQUENCIES, Dataset

ALL = slice(None)
AREAS = (32**2, 96**2)  # px² that part small, medium and large objects
LARGEST = 1e10  # px²

# name: (array of COCOeval, IoU threshold, area range, limit on detections), as indices into it
FIGURES: dict[str, tuple[str, int | slice, int, int]] = {
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


def image_ids(dataset: Dataset) -> list[int]:
    """Return the data set's image ids if all are distinct integers, else 1..n."""
    ids = [record.image_id for record in dataset.records]
    if all(isinstance(i, numbers.Integral) for i in ids) and len(set(ids)) == len(ids):
        return [int(i) for i in ids]
    return list(range(1, len(ids) + 1))


def ground_truth(dataset: Dataset) -> dict[str, list[dict]]:
    """Return the data set as a COCO "instances" dict, ready for JSON.

    Image ids come from `image_ids`, `iscrowd` marks the ignored boxes, and width and height are
    None for images whose size was not read.
    """
    images: list[dict] = []
    annotations: list[dict] = []
    for image_id, record in zip(image_ids(dataset), dataset.records, strict=True):
        width, height = record.size or (None, None)
        images.append(
            {"id": image_id, "file_name": str(record.path), "width": width, "height": height}
        )
        rows = zip(
            xywh(record.boxes),
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
    categories: list[dict] = [
        {"id": int(category_id), "name": name}
        for category_id, name in zip(dataset.category_ids, dataset.class_names, strict=True)
    ]
    for category in categories:
        if category["name"] in dataset.frequencies:
            category["frequency"] = dataset.frequencies[category["name"]]
    return {"images": images, "annotations": annotations, "categories": categories}


def results(dataset: Dataset, detections: Sequence[Detections]) -> list[dict]:
    """Return detections as rows of a COCO results file, with the image ids of `ground_truth`."""
    return coco_rows(detections, image_ids(dataset), dataset.category_ids)


def evaluate_coco(
    dataset: Dataset, detections: Sequence[Detections], max_detections: int = 100
) -> dict[str, Any]:
    """Return COCO's twelve figures for the detections of a data set, and each class's AP and AP50.

    Args:
        detections: the `Detections` of each record, in the same order.
        max_detections: the number of detections that count for each image and class, best first.
            AR1 and AR10 count 1 and 10; all other figures use this number, AR100 too.

    Returns:
        A dict of floats in 0..1 by the names in `FIGURES`, and `per_class`: {class name: {"AP",
        "AP50"}}. A figure or a class without ground truth is None. Where the data set names
        frequencies, the AP of rare, common and frequent classes is in `APr`, `APc` and `APf`
        (Gupta et al. 2019, arXiv 1908.03195).

    Protocol: https://cocodataset.org/#detection-eval. The overlap with an ignored box is a share of
    the detection's area, and a detection that matches only an ignored box does not count.
    """
    return evaluate_rows(ground_truth(dataset), results(dataset, detections), max_detections)


def evaluate_rows(
    truth: dict[str, Any],
    rows: list[dict],
    max_detections: int = 100,
    areas: tuple[float, float] = AREAS,
) -> dict:
    """Return the figures of `evaluate_coco` for COCO dicts.

    Args:
        truth: an "instances" dict.
        rows: of a results file; they get further keys.
        areas: px² up to which objects are small, and from which they are large.
    """
    accumulated = _accumulate(truth, rows, max_detections, areas)
    metrics: dict[str, Any] = {
        name: _figure(accumulated, *where) for name, where in FIGURES.items()
    }
    categories = {each["id"]: each["name"] for each in truth["categories"]}
    order = sorted(categories)  # COCOeval's order of classes
    metrics["per_class"] = {
        name: _class_figures(accumulated, order.index(category_id))
        for category_id, name in categories.items()
    }
    return metrics | _by_frequency(truth["categories"], metrics["per_class"])


def _by_frequency(categories: list[dict], per_class: dict[str, dict | None]) -> dict:
    """Return {"APr", "APc", "APf"}, the mean AP of the classes of each frequency, or {}."""
    if not any(each.get("frequency") in FREQUENCIES for each in categories):
        return {}
    found: dict[str, list[float]] = {name: [] for name in FREQUENCIES}
    for category in categories:
        figures = per_class[category["name"]]
        if figures and category.get("frequency") in FREQUENCIES:
            found[category["frequency"]].append(figures["AP"])
    return {f"AP{name}": sum(aps) / len(aps) if aps else None for name, aps in found.items()}


def _accumulate(
    truth: dict[str, Any], rows: list[dict], max_detections: int, areas: tuple[float, float]
) -> dict:
    """Return COCOeval's arrays: precision (10, 101, K, 4, 3) and recall (10, K, 4, 3)."""
    from faster_coco_eval import COCO, COCOeval_faster

    if max_detections < 1:
        raise ValueError(f"max_detections must be 1 or more, got {max_detections}.")
    for index, row in enumerate(rows, start=1):
        row.update(id=index, area=row["bbox"][2] * row["bbox"][3], iscrowd=0)
    evaluator = COCOeval_faster(COCO(truth), COCO({**truth, "annotations": rows}), "bbox")
    evaluator.params.maxDets = [min(1, max_detections), min(10, max_detections), max_detections]
    small, large = areas
    evaluator.params.areaRng = [[0, LARGEST], [0, small], [small, large], [large, LARGEST]]
    evaluator.evaluate()
    evaluator.accumulate()
    return evaluator.eval


def _figure(
    accumulated: dict,
    what: str,
    threshold: int | slice,
    area: int,
    limit: int,
    category: int | slice = ALL,
) -> float | None:
    """Return the mean where there is ground truth (COCOeval has -1 elsewhere), or None."""
    values = accumulated[what][threshold, ..., category, area, limit]
    values = values[values > -1]
    return float(values.mean()) if values.size else None


def _class_figures(accumulated: dict, category: int) -> dict[str, float | None] | None:
    figures = {
        name: _figure(accumulated, *FIGURES[name], category=category) for name in ("AP", "AP50")
    }
    return None if figures["AP"] is None else figures
