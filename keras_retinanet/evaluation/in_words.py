"""The most important figures of an evaluation as sentences."""

from __future__ import annotations

from typing import Any

from keras_retinanet.evaluation.explanation import Explanation
from keras_retinanet.evaluation.thresholds import together
from keras_retinanet.utils.text import counted, printable


def summary(explanation: Explanation) -> list[str]:
    """Return the most important figures as sentences."""
    matching, metrics, single = explanation.matching, explanation.metrics, explanation.single
    objects = int(matching.counts().sum())
    where = f"{counted(objects, 'object')} in {counted(matching.num_images, 'image')}"
    if not objects:
        return [f"There are {where}, so nothing can be measured."]
    whole = together(explanation.chosen)
    sentences = [
        f"AP {share(metrics['AP'])} ({_range(metrics)}AP50 {share(metrics['AP50'])}, AP75 "
        f"{share(metrics['AP75'])}) on {where}. At threshold {single.threshold:g} precision is "
        f"{share(single.precision)} and recall is {share(single.recall)}; with a threshold for "
        f"each class they are {share(whole.precision)} and {share(whole.recall)}."
    ]
    known = [each for each in explanation.chosen if each.objects]
    if len(known) > 1:
        worst = min(known, key=lambda each: each.f1)
        best = max(known, key=lambda each: each.f1)
        sentences.append(
            f"{printable(best.name, 40)} is found best (F1 {share(best.f1)}), "
            f"{printable(worst.name, 40)} worst (F1 {share(worst.f1)}: precision "
            f"{share(worst.precision)}, recall {share(worst.recall)})."
        )
    return [*sentences, *_losses(metrics), *_errors(explanation)]


def _range(metrics: dict[str, Any]) -> str:
    """Return the interval of AP in words, if there is one among the figures."""
    limits = metrics.get("intervals", {}).get("AP")
    return f"95% interval {limits[0]:.2f} to {limits[1]:.2f}, " if limits else ""


def _losses(metrics: dict[str, Any]) -> list[str]:
    """Return a sentence on the kinds of errors that cost most AP50, if they are known."""
    kinds = metrics.get("errors", {}).get("kinds", {})
    costs = {kind: values["AP50"] for kind, values in kinds.items() if values["AP50"]}
    worst = sorted(costs, key=lambda kind: -costs[kind])[:2]
    named = " and ".join(f"{kind} ({costs[kind]:.2f})" for kind in worst)
    return [f"Of AP50, most is lost to these errors: {named}."] if named else []


def _errors(explanation: Explanation) -> list[str]:
    """Return sentences on the errors at the thresholds and on calibration."""
    matrix, error = explanation.confusion, explanation.calibration.error
    confused = int(matrix[:-1, :-1].sum() - matrix[:-1, :-1].trace())
    sentences = [
        f"Errors at these thresholds: {counted(int(matrix[:-1, -1].sum()), 'missed object')}, "
        f"{counted(int(matrix[-1, :-1].sum()), 'detection')} of nothing, and "
        f"{counted(confused, 'object')} taken for another class."
    ]
    if error is not None:
        leaning = explanation.calibration.leaning
        mostly = "mostly too high" if leaning > error / 2 else "mostly too low"
        mostly = mostly if abs(leaning) > error / 2 else "in both directions"
        sentences.append(f"Scores differ from the share that is right by {error:.2f}, {mostly}.")
    return sentences


def share(value: float | None, decimals: int = 2) -> str:
    """Return a figure as text, "-" for one that is not defined."""
    return "-" if value is None else f"{value:.{decimals}f}"
