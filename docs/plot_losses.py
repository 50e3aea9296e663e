"""Draw the plots of docs/losses.md with the functions of the package.

    python docs/plot_losses.py

Values come from the package's losses, and slopes from TensorFlow's gradients; this script has no
formulas. It needs matplotlib: pip install -c requirements.txt -e '.[docs]'.
"""

import argparse
import os
from pathlib import Path
from statistics import NormalDist

os.environ["KERAS_BACKEND"] = "tensorflow"
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import numpy as np
import tensorflow as tf
from keras import ops
from matplotlib.figure import Figure

from keras_retinanet import coders, losses
from keras_retinanet.losses.distribution import two_hot

# Okabe and Ito's colours for the colour-blind; the blues are ordered by lightness
BLACK, GREY, ORANGE, GREEN, BLUE = "#000000", "#777777", "#D55E00", "#009E73", "#0072B2"
BLUES = ("#9CC9E8", "#56B4E9", "#0072B2", "#00355C")
STYLE = {"linewidth": 1.8}
LEGEND = {"frameon": False, "fontsize": 9}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    folder = Path(__file__).resolve().parent / "losses"
    parser.add_argument("--output", type=Path, default=folder, help="(%(default)s)")
    args = parser.parse_args()
    args.output.mkdir(parents=True, exist_ok=True)
    for name, draw in PLOTS.items():
        path = args.output / f"{name}.png"
        draw().savefig(path, dpi=110, metadata={"Software": None})
        print(f"{path}: {path.stat().st_size / 1000:.0f} kB")


def along(loss, target, points):
    """Return values (P,) and slopes (P, V) at points (P, V), each a batch of one object."""
    points = tf.constant(points, "float32")
    y_true = tf.constant([[[*target, 1.0]]], "float32")  # (1, 1, V + 1)
    with tf.GradientTape() as tape:
        tape.watch(points)
        values = [loss(y_true, point[None, None]) for point in tf.unstack(points)]
        values = tf.stack(values)
    return values.numpy(), tape.gradient(values, points).numpy()


def along_logits(loss, logits, target=1.0, others=0):
    """Return values (P,) and slopes (P,) at a class's logits (P,), with `others` classes at 0."""
    points = np.pad(logits[:, None], [(0, 0), (0, others)])  # (P, 1 + others)
    values, slopes = along(loss, [target] + [0.0] * others, points)
    return values, slopes[:, 0]


def panels(count, width=10.0, height=3.9, **options):
    """Return a figure and its axes, with light grids and no frame on top and right."""
    figure = Figure(figsize=(width, height), layout="constrained")
    axes = np.atleast_1d(figure.subplots(1, count, **options))
    for axis in axes:
        axis.spines[["top", "right"]].set_visible(False)
        axis.grid(color="#E4E4E4", linewidth=0.8)
        axis.set_axisbelow(True)
    return figure, axes


def classification():
    """Plot cross entropy and the focal losses against the logit of the true label."""
    logits = np.linspace(-4, 6, 101)
    figure, (left, right) = panels(2)
    lowest = 2e-6  # of the slopes that are drawn

    def draw(loss, name, short, others=0, place="center", **style):
        values, slopes = along_logits(loss, logits, others=others)
        left.plot(logits, values, label=name, **STYLE | style)
        right.plot(logits, np.abs(slopes), **STYLE | style)
        end = np.flatnonzero(np.abs(slopes) > lowest)[-1]
        right.text(
            logits[end] + 0.2, np.abs(slopes[end]), short, va=place, fontsize=9, clip_on=False
        )

    options = {"alpha": None, "from_logits": True}
    draw(losses.cross_entropy(**options), "cross entropy", "CE", color=BLACK)
    for gamma, colour in zip((0.5, 1.0, 2.0, 5.0), BLUES, strict=True):
        loss = losses.focal(gamma=gamma, **options)
        place = "top" if gamma == 0.5 else "center"
        draw(loss, f"focal, γ {gamma:g}", f"γ {gamma:g}", color=colour, place=place)
    star = losses.focal_star(**options)
    draw(star, "focal*, γ 2, β 1", "FL*", color=ORANGE, linestyle=(0, (5, 1.5)))
    loss = losses.softmax_focal(**options)
    name = "softmax focal, γ 2, with 19\nother classes at logit 0"
    style = {"color": GREEN, "linestyle": (0, (1, 1)), "place": "bottom"}
    draw(loss, name, "softmax", others=19, **style)
    for axis in (left, right):
        axis.set_xlabel("logit $x_t$ of the true label")
        axis.set_xlim(-4, 6)
    left.set_ylabel("loss of one anchor, without α")
    left.set_ylim(0, 5)
    left.legend(**LEGEND)
    right.set_ylabel("|d loss / d $x_t$|")
    right.set_yscale("log")
    right.set_ylim(1e-6, 2)
    return figure


def quality():
    """Plot quality focal and varifocal loss for two IoU targets and for the background."""
    logits = np.linspace(-6, 6, 121)
    figure, (left, right) = panels(2)
    targets = {"IoU 0.9": (0.9, BLUE), "IoU 0.5": (0.5, ORANGE), "background": (0.0, BLACK)}
    kinds = {"QFL": (losses.quality_focal, "-"), "VFL": (losses.varifocal, (0, (4, 1.5)))}
    for kind, (loss, line) in kinds.items():
        for name, (target, colour) in targets.items():
            values, slopes = along_logits(loss(from_logits=True), logits, target)
            style = {**STYLE, "color": colour, "linestyle": line, "label": f"{kind}, {name}"}
            left.plot(logits, values, **style)
            right.plot(logits, slopes, **style)
    for axis in (left, right):
        axis.set_xlabel("logit x of the class")
        axis.set_xlim(-6, 6)
    left.set_ylabel("loss of one anchor")
    left.set_ylim(0, 5)
    right.set_ylabel("d loss / dx")
    right.legend(**LEGEND, loc="lower right")
    return figure


def gaussian(mean, deviation, count):
    """Return the quantiles (count,) of a Gaussian distribution."""
    places = (np.arange(count) + 0.5) / count
    return np.array([NormalDist(mean, deviation).inv_cdf(place) for place in places])


def harmonizing():
    """Plot the frequency of each norm of the gradient, and its anchors' share of the gradient."""
    objects, background = gaussian(1, 2, 1_000), gaussian(-5, 1.5, 99_000)
    logits = tf.constant(np.concatenate([objects, background])[None, :, None], "float32")
    labels = np.repeat([1.0, 0.0], [len(objects), len(background)])
    y_true = tf.constant(np.stack([labels, labels], axis=-1)[None], "float32")  # (1, N, 2)

    def slopes(loss):
        with tf.GradientTape() as tape:
            tape.watch(logits)
            value = loss(y_true, logits)
        return np.abs(tape.gradient(value, logits).numpy().ravel())  # (N,)

    options = {"from_logits": True}
    entropy = slopes(losses.cross_entropy(**options))
    norms = entropy * len(objects)  # one object's share of the sum undone
    bins = np.linspace(0, 1, 31)
    figure, (left, right) = panels(2)
    left.hist(norms, bins, color=GREY, edgecolor="white", linewidth=0.5, log=True)
    left.set_ylabel("anchors in the bin, of 100,000")
    kinds = {
        "cross entropy": (entropy, BLACK, "-"),
        "focal, γ 2, α 0.25": (slopes(losses.focal(**options)), BLUE, (0, (5, 1.5))),
        "GHM-C": (slopes(losses.ghm_classification(**options)), ORANGE, (0, (1.5, 1))),
    }
    for name, (values, colour, line) in kinds.items():
        sums = np.histogram(norms, bins, weights=values / values.sum())[0]
        style = {"color": colour, "linestyle": line, "linewidth": 1.8, "label": name}
        right.stairs(100 * sums, bins, baseline=None, **style)
        if sums[0] > 0.25:
            right.text(0.045, 23.5, f"to {100 * sums[0]:.0f}% in the first bin", fontsize=9)
    right.set_ylabel("share of the whole gradient, %")
    right.set_ylim(0, 25)
    right.legend(**LEGEND, loc="upper right", bbox_to_anchor=(1, 0.9))
    for axis in (left, right):
        axis.set_xlabel("norm of the gradient |p − y|")
        axis.set_xlim(0, 1)
    return figure


def boxes():
    """Plot box losses against the error of a box: in box space and in delta space."""
    figure, (left, middle, right) = panels(3, width=12)
    shift = np.linspace(0, 2.5, 101)
    target = np.array([0.0, 0.0, 100.0, 100.0])
    moved = target + 100 * shift[:, None]  # (P, 4): one side to the right, one side down
    lines = {
        "1 − IoU": (losses.iou(), BLACK, "-"),
        "1 − GIoU": (losses.giou(), BLUE, "-"),
        "1 − DIoU": (losses.diou(), ORANGE, "-"),
        "CIoU loss": (losses.ciou(), BLACK, (0, (1, 2))),
    }
    for name, (loss, colour, line) in lines.items():
        values = along(loss, target, moved)[0]
        left.plot(shift, values, color=colour, linestyle=line, label=name, **STYLE)
    left.set_xlabel("shift of a square to the right and down,\nin its sides")
    left.set_ylabel("loss")
    left.set_ylim(0, 2)
    difference = np.linspace(-0.5, 0.5, 201)
    points = np.pad(difference[:, None], [(0, 0), (0, 3)])  # (P, 4): the other three are right
    lines = {
        "L1": (losses.l1(), BLACK, "-"),
        "L2": (losses.l2(), ORANGE, "-"),
        "smooth L1, σ 3": (losses.smooth_l1(), BLUE, "-"),
        "GHM-R, μ 0.02, without β": (losses.ghm_regression(bins=1), GREEN, (0, (3, 1.5))),
    }
    for name, (loss, colour, line) in lines.items():
        values, slopes = along(loss, [0.0] * 4, points)
        style = {"color": colour, "linestyle": line, "label": name, **STYLE}
        middle.plot(difference, values, **style)
        right.plot(difference, slopes[:, 0], **style)
    middle.set_ylabel("loss of one coordinate")
    middle.set_ylim(0, 0.7)
    right.set_ylabel("d loss / dd")
    for axis in (middle, right):
        axis.set_xlabel("difference d of a delta\n(in deltas, no unit)")
    left.legend(**LEGEND, loc="lower right")
    middle.legend(**LEGEND, loc="upper center")
    return figure


def distributions():
    """Plot three distributions of one side that decode to the same box, and their losses."""
    bins, distance = np.arange(17), 5.3
    bump = {centre: np.exp(-((bins - centre) ** 2) / 2 / 0.8**2) for centre in (4, 11)}
    near, far = (weights / weights.sum() for weights in bump.values())
    share = (distance - bins @ far) / (bins @ near - bins @ far)  # so that the mean is right
    shapes = {
        "Dirac: on the two nearest bins": ops.convert_to_numpy(two_hot(np.float32(distance), 16)),
        "Gaussian: one peak, a width": np.exp(-((bins - distance) ** 2) / 2 / 1.5**2),
        "general: two places are likely": share * near + (1 - share) * far,
    }
    coder = coders.distances(bins=16)
    anchor = np.array([[0.0, 0.0, 64.0, 64.0]], "float32")
    target = coder.decode(anchor, np.full((1, 4), distance, "float32"))  # (1, 4)
    figure, axes = panels(3, width=12, height=3.6, sharey=True)
    for axis, (name, weights) in zip(axes, shapes.items(), strict=True):
        weights = weights / weights.sum()
        logits = np.tile(np.log(weights + 1e-12), 4)[None].astype("float32")  # (1, 68)
        dfl = along(losses.dfl(), [distance] * 4, logits)[0][0]
        giou = along(losses.giou(), target[0], coder.decode(anchor, logits))[0][0]
        spread = np.sqrt(weights @ (bins - weights @ bins) ** 2)
        axis.bar(bins, weights, color=BLUE, width=0.8)
        axis.axvline(distance, color=ORANGE, linewidth=1.6)
        axis.set_title(name, fontsize=10)
        text = (
            f"mean {weights @ bins:.1f}, deviation {spread:.1f}\n"
            f"highest probability {weights.max():.2f}\n"
            f"DFL of a side {dfl / 4:.2f}\n1 − GIoU {abs(giou):.2f}"
        )
        axis.text(0.98, 0.95, text, transform=axis.transAxes, ha="right", va="top", fontsize=9)
        axis.set_xlabel("distance of the side from the anchor's\ncentre, in eighths of the anchor")
        axis.set_xticks(range(0, 17, 4))
    axes[0].set_ylabel("probability")
    axes[0].set_ylim(0, 0.85)
    axes[0].text(5.0, 0.78, "true distance", color=ORANGE, fontsize=9, ha="right")
    return figure


PLOTS = {
    "classification": classification,
    "quality": quality,
    "harmonizing": harmonizing,
    "boxes": boxes,
    "distributions": distributions,
}

if __name__ == "__main__":
    main()
