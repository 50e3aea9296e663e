"""What an evaluation suggests to do next, each step with its reason in figures and a command."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping

import numpy as np

from keras_retinanet.evaluation.confusion import largest_confusions
from keras_retinanet.evaluation.explanation import Explanation
from keras_retinanet.utils.text import counted, printable

MANY_WRONG = 0.1  # the share of wrong detections without any label that is worth a look
FEW = 10  # small objects say nothing yet
GAP = 0.15  # of recall between small and other objects
LOOSE = 0.35  # AP75 below this share of AP50 means loose boxes
RARE = 0.1  # of the mean number of objects of a class
UNREACHED = 0.95  # the least share of objects that anchors should reach
CONFUSED = 0.05  # the share of a class that is taken for another one
MISCALIBRATED = 0.1
OF_OVERLAP = ("iou", "giou", "diou", "ciou", "gfl")  # losses of boxes
RISING = 0.02  # of AP in the last quarter of a training


@dataclasses.dataclass(frozen=True)
class Step:
    """One thing to do: a sentence, and the command line that does it, or "" for none."""

    sentence: str
    command: str = ""


@dataclasses.dataclass(frozen=True)
class Words:
    """The words of the user's command line that the commands repeat.

    Attributes:
        data: the data set, such as "pascal BCCD".
        model: the model's file; "" if there is none.
        split: such as " --split test", or "".
        stores: True for a command that stores the thresholds itself.
    """

    data: str
    model: str = ""
    split: str = ""
    stores: bool = False

    def evaluate(self, option: str) -> str:
        """Return the command that evaluates the model with an option, "" without a model."""
        command = f"retinanet-evaluate {self.data} {self.model}{self.split} {option}"
        return command if self.model else ""


@dataclasses.dataclass(frozen=True)
class Training:
    """What is known of a model's training.

    Attributes:
        best_recall: the share of objects that an anchor reaches; None if it is unknown.
        history: {epoch: AP}.
        box_loss: its name; "" if it is unknown.
    """

    best_recall: float | None = None
    history: Mapping[int, float] = dataclasses.field(default_factory=dict)
    box_loss: str = ""


def advise(explanation: Explanation, words: Words, training: Training = Training()) -> list[Step]:
    """Return the steps that the figures call for, the most promising first."""
    steps = [
        *_check_labels(explanation, words),
        *_fit_anchors(training.best_recall, words),
        *_train_longer(training.history, words),
        *_enlarge(explanation, words),
        *_collect(explanation, words),
        *_separate(explanation),
        *_tighten(explanation, words, training.box_loss),
        *_calibrate(explanation),
    ]
    if words.model.endswith(".keras") and not words.stores:
        why = (
            "Store the best threshold of each class in the model. On a validation split they are "
            "chosen more fairly than on the one whose figures you report."
        )
        steps.append(Step(why, words.evaluate(f"--choose-thresholds {explanation.rule}")))
    return steps


def _check_labels(explanation: Explanation, words: Words) -> Iterator[Step]:
    found, least = explanation.matching.found, explanation.least
    wrong = found.wrong & (found.score >= least[found.label])
    rows = explanation.missing.detection
    bare = int((found.score[rows] >= least[found.label[rows]]).sum())
    if wrong.any() and bare > MANY_WRONG * wrong.sum():
        yield Step(
            f"Check the labels first: {bare} of {int(wrong.sum())} wrong detections are at places "
            "without any label. missing_labels.json and wrong_labels.json open in a labelling "
            "tool; the doctor finds repeated images and images that are in two splits.",
            f"retinanet-doctor {words.data}",
        )


def _fit_anchors(best_recall: float | None, words: Words) -> Iterator[Step]:
    if best_recall is not None and best_recall < UNREACHED:
        yield Step(
            f"Anchors reach only {best_recall:.0%} of the objects at IoU 0.5; fit them to the data "
            "and train again.",
            f"retinanet-train {words.data} --fit-anchors",
        )


def _train_longer(history: Mapping[int, float], words: Words) -> Iterator[Step]:
    last = max(history, default=0)
    earlier = [ap for epoch, ap in history.items() if epoch <= 0.75 * last]
    if earlier and (gain := history[last] - max(earlier)) > RISING:
        yield Step(
            f"AP rose by {gain:.2f} in the last quarter of {last} epochs: train longer.",
            f"retinanet-train {words.data} --epochs {2 * last}",
        )


def _enlarge(explanation: Explanation, words: Words) -> Iterator[Step]:
    small, *others = explanation.groups["size"]
    best = max((group.recall for group in others if group.objects), default=0.0)
    if small.objects > FEW and best - small.recall > GAP:
        yield Step(
            f"Of the small objects {small.recall:.0%} are found, of larger ones {best:.0%}: train "
            "with larger images, or try tiles without a training.",
            words.evaluate("--tile 320"),
        )


def _collect(explanation: Explanation, words: Words) -> Iterator[Step]:
    counts = explanation.matching.counts()
    known = [each for each in explanation.chosen if each.objects and each.f1 is not None]
    mean = np.mean([each.f1 for each in known]) if known else 0
    rare = [each for each in known if each.objects < RARE * counts.mean() and each.f1 < mean]
    if rare:
        names = ", ".join(printable(each.name, 40) for each in rare[:5])
        yield Step(
            f"Collect more images of rare classes that are found badly ({names}), and show those "
            "there are more often.",
            f"retinanet-train {words.data} --repeat-threshold 0.1",
        )


def _separate(explanation: Explanation) -> Iterator[Step]:
    names, matrix = explanation.matching.class_names, explanation.confusion
    for count, label, taken in largest_confusions(matrix, 2):
        if count > CONFUSED * matrix[label].sum() and count > 2:
            yield Step(
                f"{counted(count, 'object')} of {printable(names[label], 40)} (of "
                f"{matrix[label].sum()}) are detected as {printable(names[taken], 40)}: look at "
                "their labels in wrong_labels.csv, or merge the classes."
            )


def _tighten(explanation: Explanation, words: Words, box_loss: str) -> Iterator[Step]:
    half, tight = explanation.metrics["AP50"], explanation.metrics["AP75"]
    if half and tight < LOOSE * half and box_loss not in OF_OVERLAP:
        yield Step(
            f"Boxes are loose (AP50 {half:.2f}, AP75 {tight:.2f}): train with a loss of their "
            "overlap.",
            f"retinanet-train {words.data} --box-loss giou",
        )


def _calibrate(explanation: Explanation) -> Iterator[Step]:
    leaning = explanation.calibration.leaning
    if abs(leaning) > MISCALIBRATED:
        much = "higher" if leaning > 0 else "lower"
        yield Step(
            f"Do not read scores as probabilities: on average they are {abs(leaning):.2f} {much} "
            "than the share of right detections."
        )
