"""Batches of prepared images that share a padding bucket."""

from collections.abc import Iterable, Iterator

from keras_retinanet.model_input import Prepared


def batches(items: Iterable[Prepared], size: int, window: int) -> Iterator[list[Prepared]]:
    """Yield lists of up to `size` items of one bucket; no item waits for more than `window`."""
    waiting: dict[tuple[int, int], list[Prepared]] = {}  # in the order of their first items
    for item in items:
        group = waiting.setdefault(item.bucket, [])
        group.append(item)
        if len(group) == size:
            yield waiting.pop(item.bucket)
        longest = next(iter(waiting.values()), None)
        if longest and item.index - longest[0].index >= window:
            yield waiting.pop(longest[0].bucket)
    yield from waiting.values()
