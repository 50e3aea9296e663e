"""Padding buckets: the few sizes that images are padded to, so that few shapes are compiled.

All sides are multiples of `STRIDE`. The three users of buckets choose them differently:

- A `Loader` knows all of its images, and takes the buckets with the least padding (`buckets_for`).
- A `Detector` sees one image at a time, and an image's boxes must not depend on other images: it
  takes the bucket from a list of usual aspect ratios (`ModelInput.bucket`).
- A SavedModel's graph accepts every shape without compiling again: it only rounds sides up.
"""

from collections import Counter
from collections.abc import Iterable

Size = tuple[int, int]  # (width, height) px

STRIDE = 32  # sides are multiples of 32, so that all backbones round alike
MOST_BUCKETS = 4
MANY = 128  # sizes; joining buckets takes time in the cube of their number


def buckets_for(sizes: Iterable[Size], most: int = MOST_BUCKETS) -> list[Size]:
    """Return at most `most` padded sizes, in ascending order of area, that hold all `sizes`.

    Sides are rounded up to multiples of 32, or of 64, 128, ... as long as there are more than
    `MANY` sizes. Then the two buckets whose union adds the least padding are joined, until `most`
    buckets are left.
    """
    counts = _rounded(Counter(map(tuple, sizes)), STRIDE)
    largest = [max(sides) for sides in zip(*counts, strict=True)]
    stride = STRIDE
    while len(counts) > MANY:
        stride *= 2
        counts = _rounded(counts, stride)
    while len(counts) > most:
        buckets = list(counts)
        joins = [
            (_padding(counts, a, b), a, b) for i, a in enumerate(buckets) for b in buckets[i + 1 :]
        ]
        _, a, b = min(joins)
        joined = max(a[0], b[0]), max(a[1], b[1])
        count = counts.pop(a) + counts.pop(b)
        counts[joined] += count
    clipped = {(min(width, largest[0]), min(height, largest[1])) for width, height in counts}
    return ascending(clipped)


def ascending(buckets: Iterable[Size]) -> list[Size]:
    """Return each bucket once, in ascending order of area."""
    return sorted(set(buckets), key=lambda bucket: (bucket[0] * bucket[1], bucket))


def rounded_hull(sizes: Iterable[Size]) -> Size:
    """Return the smallest bucket that holds all `sizes`."""
    width, height = (rounded_up(max(sides)) for sides in zip(*sizes, strict=True))
    return width, height


def _rounded(counts: Counter, stride: int) -> Counter:
    """Return the counts of sizes by bucket: each side rounded up to a multiple of `stride`."""
    rounded: Counter = Counter()
    for size, count in counts.items():
        rounded[tuple(rounded_up(side, stride) for side in size)] += count
    return rounded


def rounded_up(side: int, stride: int = STRIDE) -> int:
    """Return the smallest multiple of `stride` that is at least `side`."""
    return -(-side // stride) * stride


def _padding(counts: Counter, a: Size, b: Size) -> int:
    """Return the area in px² that joining buckets a and b adds to the images in them."""
    area = max(a[0], b[0]) * max(a[1], b[1])
    return sum(counts[bucket] * (area - bucket[0] * bucket[1]) for bucket in (a, b))


def smallest(buckets: list[Size], size: Size) -> Size:
    """Return the smallest of `buckets`, in ascending order of area, that holds `size`."""
    return next(b for b in buckets if b[0] >= size[0] and b[1] >= size[1])
