"""Which images share a batch, and the fixed canvases that batches are padded to."""

from collections import Counter

import numpy as np

STRIDE = 32  # canvases are multiples of it, so that every backbone rounds alike
MOST_CANVASES = 4
MANY = 128  # sizes; joining takes the cube of their number


def canvases_for(sizes, most=MOST_CANVASES):
    """A few canvases (width, height) px, one of which holds each of the resized `sizes`.

    Sizes are rounded up to multiples of 32, or of 64, 128, ... while there are over `MANY` of them;
    then the two canvases whose union adds the least padding are joined until at most `most` are
    left.
    """
    counts = _rounded(Counter(map(tuple, sizes)), STRIDE)
    largest = [max(sides) for sides in zip(*counts, strict=True)]
    stride = STRIDE
    while len(counts) > MANY:
        stride *= 2
        counts = _rounded(counts, stride)
    while len(counts) > most:
        canvases = list(counts)
        joins = [
            (_padding(counts, a, b), a, b)
            for i, a in enumerate(canvases)
            for b in canvases[i + 1 :]
        ]
        _, a, b = min(joins)
        joined = max(a[0], b[0]), max(a[1], b[1])
        count = counts.pop(a) + counts.pop(b)
        counts[joined] += count
    canvases = {tuple(map(min, canvas, largest)) for canvas in counts}
    return sorted(canvases, key=lambda canvas: (canvas[0] * canvas[1], canvas))


def _rounded(counts, stride):
    """The counts of sizes by their canvases: sizes rounded up to multiples of `stride`."""
    rounded = Counter()
    for size, count in counts.items():
        rounded[tuple(-(-side // stride) * stride for side in size)] += count
    return rounded


def _padding(counts, a, b):
    """The area that joining canvases a and b adds to the images on them, in px²."""
    area = max(a[0], b[0]) * max(a[1], b[1])
    return sum(counts[canvas] * (area - canvas[0] * canvas[1]) for canvas in (a, b))


def smallest(canvases, size):
    """The smallest of `canvases`, in ascending order of area, that holds `size`."""
    return next(c for c in canvases if c[0] >= size[0] and c[1] >= size[1])


def together(generator):
    return [np.arange(generator.size())]


def by_ratio(generator):
    ratios = [generator.image_aspect_ratio(i) for i in range(generator.size())]
    return [np.argsort(ratios, kind="stable")]


def by_canvas(generator):
    members = {}
    for i in range(generator.size()):
        members.setdefault(generator.canvas(i), []).append(i)
    return [np.array(indices) for _, indices in sorted(members.items())]


# each gives lists of image indices; batches are cut from one list after the other
GROUPINGS = {"none": together, "random": together, "ratio": by_ratio, "canvas": by_canvas}


def groups(generator, epoch):
    """The batches of an epoch: lists of `batch_size` image indices, from (seed, epoch) alone.

    The last batch of a list is filled up with images from the list's start.
    """
    rng = np.random.default_rng((generator.seed, epoch))
    lists = GROUPINGS[generator.group_method](generator)
    if generator.repeat_threshold:
        factors = repeat_factors(generator, generator.repeat_threshold)
        lists = [repeated(indices, factors, rng) for indices in lists]
    method = generator.group_method
    if method == "random" or (method == "canvas" and generator.shuffle_groups):
        lists = [rng.permutation(indices) for indices in lists]
    batches = [
        [int(i) for i in np.take(indices, range(start, start + generator.batch_size), mode="wrap")]
        for indices in lists
        for start in range(0, len(indices), generator.batch_size)
    ]
    if generator.shuffle_groups:
        rng.shuffle(batches)
    return batches


def repeat_factors(generator, threshold):
    """How often each image is to be seen in an epoch, 1 or more: (n,). Gupta et al. 2019, arXiv
    1908.03195.

    That of a class is sqrt(threshold / share of the images that show it), if this is above 1; that
    of an image the largest of its classes.
    """
    shown = np.zeros((generator.size(), generator.num_classes()), bool)
    for index in range(generator.size()):
        annotations = generator.load_annotations(index)
        counted = ~annotations.get("ignore", np.zeros(len(annotations["labels"]), bool))
        shown[index, np.asarray(annotations["labels"], int)[counted]] = True
    share = shown.mean(axis=0)  # (K,)
    factors = np.sqrt(threshold / np.maximum(share, 1e-9))  # (K,)
    return np.where(shown, np.maximum(factors, 1), 1).max(axis=1, initial=1)


def repeated(indices, factors, rng):
    """The indices, each as often as its factor says, in their order.

    A factor of 1.4 is once, and twice in four epochs of ten. Their number is always the same, so
    that all epochs are equally long.
    """
    if not len(indices):
        return indices
    ends = np.cumsum(factors[indices])
    count = int(np.ceil(ends[-1]))
    points = (np.arange(count) + rng.random()) * (ends[-1] / count)  # at most 1 apart
    return indices[np.minimum(np.searchsorted(ends, points, side="right"), len(indices) - 1)]
