"""Where AP50 is lost, by TIDE's kinds of errors. Bolya et al. 2020, https://arxiv.org/abs/2008.08115

A kind of error costs the AP50 that is gained if its errors alone are fixed.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..utils.terminal import aligned
from .bootstrap import average_precision
from .columns import Columns, Pairs, columns_of, overlapping

HIT_IOU = 0.5
BACKGROUND_IOU = 0.1
NOTHING = -1
FALSE = ("classification", "localization", "both", "duplicate", "background")
KINDS = (*FALSE, "missed")


@dataclasses.dataclass(frozen=True, eq=False)
class Judged:
    """The D detections and M objects, judged at IoU 0.5.

    Attributes:
        hits: (D,) bool, the detection finds an object.
        counted: (D,) bool, it does not lie on a crowd alone.
        kinds: (D,) str, a name in `FALSE`, "" for hits.
        fixes: (D,) the object that the detection finds once its error is fixed, or `NOTHING`.
        unfound: (M,) bool, objects without a hit.
        missed: (M,) bool, unfound objects that no fixed detection finds.
    """

    columns: Columns
    hits: np.ndarray
    counted: np.ndarray
    kinds: np.ndarray
    fixes: np.ndarray
    unfound: np.ndarray
    missed: np.ndarray


def error_breakdown(
    truth: dict[str, Any], rows: Sequence[dict], max_detections: int = 100
) -> dict[str, Any]:
    """Return the number of errors of each kind, and the AP50 that they cost.

    Args:
        truth: a COCO "instances" dict.
        rows: of a result file.
        max_detections: as for `evaluate_coco`.

    Returns:
        {"AP50", "kinds": {name in `KINDS`: {"count", "AP50"}}, "false_positives",
        "false_negatives"}. The last two are the AP50 that is gained with all false detections below
        all hits, and without the objects that are not found. Classes without objects are left
        out; AP50 is None without any.
    """
    columns = columns_of(truth, rows, max_detections)
    judged = _judged(columns)
    base = _ap50(judged)
    if base is None:
        nothing = {kind: {"count": 0, "AP50": None} for kind in KINDS}
        specials = {"false_positives": None, "false_negatives": None}
        return {"AP50": None, "kinds": nothing, **specials}
    kinds = {}
    for kind in FALSE:
        gain = max(_fixed(judged, kind) - base, 0.0)
        kinds[kind] = {"count": int((judged.kinds == kind).sum()), "AP50": gain}
    gain = max(_ap50(judged, removed=judged.missed) - base, 0.0)
    kinds["missed"] = {"count": int(judged.missed.sum()), "AP50": gain}
    ordered = _ap50(judged, score=judged.hits.astype(float))
    return {
        "AP50": base,
        "kinds": kinds,
        "false_positives": ordered - base,
        "false_negatives": _ap50(judged, removed=judged.unfound) - base,
    }


def _judged(columns: Columns) -> Judged:
    """Match the detections and name the error of each one without a hit."""
    found, objects = columns.found, columns.objects
    pairs = overlapping(columns, BACKGROUND_IOU)
    same = found.category[pairs.detection] == objects.category[pairs.object]
    crowd = objects.crowd[pairs.object]
    taken = _taken(columns, pairs, same & ~crowd & (pairs.iou >= HIT_IOU))
    hits = taken != NOTHING
    used = np.zeros(len(objects.image), bool)
    used[taken[hits]] = True
    counted = np.ones(len(hits), bool)
    counted[pairs.detection[same & crowd & (pairs.iou >= HIT_IOU)]] = False
    counted |= hits

    own, own_object = _nearest(columns, pairs, same & ~crowd)
    other, other_object = _nearest(columns, pairs, ~same & ~crowd)
    duplicate, _ = _nearest(columns, pairs, same & ~crowd & used[pairs.object])
    cases = {
        "": hits,
        "localization": (own >= BACKGROUND_IOU) & (own <= HIT_IOU),
        "classification": other >= HIT_IOU,
        "duplicate": duplicate >= HIT_IOU,
        "background": np.maximum(own, other) <= BACKGROUND_IOU,
    }
    kinds = np.select(list(cases.values()), list(cases), "both")
    aims = [kinds == "localization", kinds == "classification"]
    fixes = _winners(columns, np.select(aims, [own_object, other_object], NOTHING), used)
    unfound = ~used & ~objects.crowd
    missed = unfound.copy()
    missed[fixes[fixes != NOTHING]] = False
    return Judged(columns, hits, counted, kinds, fixes, unfound, missed)


def _taken(columns: Columns, pairs: Pairs, allowed: np.ndarray) -> np.ndarray:
    """Return the object that each detection takes, the best score first, or `NOTHING`: (D,)."""
    rows = np.flatnonzero(allowed)
    rows = rows[np.lexsort((-pairs.object[rows], -pairs.iou[rows], pairs.detection[rows]))]
    taken, used = np.full(len(columns.found.image), NOTHING), set()
    for detection, target in zip(pairs.detection[rows], pairs.object[rows], strict=True):
        if taken[detection] == NOTHING and target not in used:
            taken[detection] = target
            used.add(target)
    return taken


def _nearest(columns: Columns, pairs: Pairs, allowed: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the largest IoU of each detection, 0 for none, and its object, (D,) each."""
    rows = np.flatnonzero(allowed)
    rows = rows[np.argsort(pairs.iou[rows], kind="stable")]  # the last one stays
    ious = np.zeros(len(columns.found.image))
    objects = np.full(len(ious), NOTHING)
    ious[pairs.detection[rows]] = pairs.iou[rows]
    objects[pairs.detection[rows]] = pairs.object[rows]
    return ious, objects


def _winners(columns: Columns, aims: np.ndarray, used: np.ndarray) -> np.ndarray:
    """Return `aims` (D,) for the best detection that aims at each unused object, else `NOTHING`."""
    rows = np.flatnonzero(aims != NOTHING)
    rows = rows[~used[aims[rows]]]
    rows = rows[np.argsort(-columns.found.score[rows], kind="stable")]
    _, first = np.unique(aims[rows], return_index=True)
    winners = np.full(len(aims), NOTHING)
    winners[rows[first]] = aims[rows[first]]
    return winners


def _fixed(judged: Judged, kind: str) -> float:
    """Return AP50 once the errors of a kind are hits of their objects, or gone."""
    mine = judged.kinds == kind
    won = mine & (judged.fixes != NOTHING)
    category = judged.columns.found.category.copy()
    category[won] = judged.columns.objects.category[judged.fixes[won]]
    kept = (judged.counted & ~mine) | won
    return _ap50(judged, hits=judged.hits | won, kept=kept, category=category)


def _ap50(
    judged: Judged,
    hits: np.ndarray | None = None,
    kept: np.ndarray | None = None,
    category: np.ndarray | None = None,
    score: np.ndarray | None = None,
    removed: np.ndarray | bool = False,
) -> float | None:
    """Return the mean AP50 of the classes with objects after a change, None without objects.

    Args:
        hits, kept, category, score: (D,), other than judged.
        removed: (M,) bool, objects that need not be found. A class without further objects has the
            AP 0 if it has detections, and else is left out.
    """
    found, objects = judged.columns.found, judged.columns.objects
    hits = judged.hits if hits is None else hits
    kept = judged.counted if kept is None else kept
    category = found.category if category is None else category
    score = found.score if score is None else score
    values, labels = [], np.unique(objects.category[~objects.crowd])
    for label in labels:
        mine = np.flatnonzero(kept & (category == label))
        mine = mine[np.argsort(-score[mine], kind="stable")]
        count = ((objects.category == label) & ~objects.crowd & ~np.asarray(removed)).sum()
        if count or len(mine):
            values.append(_class_ap(hits[mine], count) if count else 0.0)
    if not len(labels):
        return None
    return float(np.mean(values)) if values else 0.0


def _class_ap(hits: np.ndarray, count: int) -> float:
    """Return the average precision of ranked hits (D,) for a number of objects."""
    once = np.ones((1, len(hits)), np.int32)
    nothing = np.zeros(len(hits), bool)
    return float(
        average_precision(once, np.cumsum(once, axis=1), hits, nothing, np.array([count]))[0]
    )


def report_errors(found: dict[str, Any]) -> str:
    """Return a table of an `error_breakdown`."""
    rows = [["error", "number", "AP50 lost"]]
    for kind, values in found["kinds"].items():
        rows.append([kind, str(values["count"]), _text(values["AP50"])])
    for name in ("false_positives", "false_negatives"):
        rows.append([f"all {name.replace('_', ' ')}", "", _text(found[name])])
    return "\n".join(aligned(rows))


def _text(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
