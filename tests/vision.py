"""torchvision as a reference, also with a PyTorch of another build."""

import importlib

LIBRARIES = []  # torch forgets the operators of a library that nobody holds


def import_torchvision():
    """Return torchvision. If its compiled operators do not load, as in a CUDA build with a PyTorch
    for CPUs, its NMS is `greedy` and its other compiled operators are missing.
    """
    try:
        return importlib.import_module("torchvision")
    except RuntimeError:  # operator torchvision::nms does not exist
        declare()
    torchvision = importlib.import_module("torchvision")
    torchvision.ops.boxes._assert_has_ops = lambda: None
    return torchvision


def declare():
    """Declare the operators that importing torchvision needs."""
    import torch

    library = torch.library.Library("torchvision", "DEF")
    for name in ("nms", "qnms"):
        library.define(f"{name}(Tensor boxes, Tensor scores, float iou_threshold) -> Tensor")
    library.impl("nms", greedy, "CPU")
    LIBRARIES.append(library)


def greedy(boxes, scores, iou_threshold):
    """Return the rows (m,) int64 of boxes (n, 4) that hard NMS keeps, best first."""
    import torch

    order = scores.argsort(descending=True, stable=True).tolist()
    areas = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])  # (n,)
    kept = []
    while order:
        best = order.pop(0)
        kept.append(best)
        if not order:
            break
        low = torch.maximum(boxes[best, :2], boxes[order, :2])  # (rest, 2)
        high = torch.minimum(boxes[best, 2:], boxes[order, 2:])
        common = (high - low).clamp(min=0).prod(dim=1)
        overlap = common / (areas[best] + areas[order] - common)
        far = torch.logical_not(overlap > iou_threshold)  # NaN of two empty boxes too
        order = [row for row, is_far in zip(order, far.tolist(), strict=True) if is_far]
    return torch.tensor(kept, dtype=torch.int64)
