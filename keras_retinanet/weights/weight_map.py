"""Weight maps: lists that pair the tensors of a file with the variables of a model.

`copy` copies all tensors or none: every tensor of the file must have a variable and every variable
of the model a tensor, of equal shape and with finite numbers.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import keras
import numpy as np

from ..errors import InputError
from ..typing import StrPath, Tensors
from ..utils.text import printable
from .signs import received


class Entry(NamedTuple):
    """A tensor of a file and its variable."""

    name: str
    variable: keras.Variable
    convert: Callable[[np.ndarray], np.ndarray] = np.asarray


NAMED = 5  # an error names so many tensors of each kind of fault

RESNETS: dict[tuple[tuple[int, ...], int], str] = {  # blocks of each stage, convolutions of a block
    ((2, 2, 2, 2), 2): "resnet18",
    ((3, 4, 6, 3), 2): "resnet34",
    ((3, 4, 6, 3), 3): "resnet50",
    ((3, 4, 23, 3), 3): "resnet101",
    ((3, 8, 36, 3), 3): "resnet152",
}


def conv(name: str, layer: keras.layers.Layer, order: np.ndarray | None = None) -> list[Entry]:
    """Map PyTorch's convolution (O, I / groups, H, W) or linear layer (O, I), and its bias.

    `order` (O,) lists the source's output channels in the layer's order.
    """

    def kernel(value: np.ndarray) -> np.ndarray:
        value = _in_order(value, order)
        if isinstance(layer, keras.layers.DepthwiseConv2D):  # (C·M, 1, H, W) -> (H, W, C, M)
            value = np.transpose(value, (2, 3, 0, 1))
            return np.reshape(value, (*value.shape[:2], -1, layer.depth_multiplier))
        return np.transpose(value, (*range(2, np.ndim(value)), 1, 0))  # (H, W, I / groups, O)

    entries = [Entry(f"{name}.weight", layer.kernel, kernel)]
    if layer.bias is not None:
        entries.append(Entry(f"{name}.bias", layer.bias, lambda value: _in_order(value, order)))
    return entries


def norm(name: str, layer: keras.layers.Layer) -> list[Entry]:
    """Map PyTorch's batch norm, or its group or layer norm, which have no statistics."""
    entries = [Entry(f"{name}.weight", layer.gamma), Entry(f"{name}.bias", layer.beta)]
    if isinstance(layer, keras.layers.BatchNormalization):
        entries.append(Entry(f"{name}.running_mean", layer.moving_mean))
        entries.append(Entry(f"{name}.running_var", layer.moving_variance))
    return entries


def scale(name: str, variable: keras.Variable) -> Entry:
    """Return the entry of a factor, or of a factor per channel: (), (C,) or (C, 1, 1)."""
    shape = tuple(variable.shape)
    return Entry(
        name,
        variable,
        lambda value: np.squeeze(value) if np.size(value) > 1 else np.reshape(value, shape),
    )


def resnet(model: keras.Model, names: dict) -> list[Entry]:
    """Map a ResNet of a PyTorch project to `model`, whose layers have this package's names.

    `names` are the source's: "stem" and "shortcut" (convolution, norm); "conv" and "norm" of
    convolution {i} of {block} in {stage}, as in "layer{stage}.{block}.conv{i}"; "first", the number
    of the first stage (1 if left out); and for squeeze-and-excitation "se" (reduce, expand).
    """
    known = [layer.name for layer in model.layers]

    def pair(ours: str, source: tuple[str, str], **place: int) -> list[Entry]:
        if f"{ours}_conv" not in known:
            return []
        convolution, normalisation = (name.format(**place) for name in source)
        entries = conv(convolution, model.get_layer(f"{ours}_conv"))
        return entries + norm(normalisation, model.get_layer(f"{ours}_bn"))

    entries = pair("conv1", names["stem"])
    for block in filter(None, (re.fullmatch(r"(conv(\d)_block(\d+))_out", name) for name in known)):
        ours, stage, number = block[1], int(block[2]), int(block[3])
        place = {"stage": stage - 2 + names.get("first", 1), "block": number - 1}
        for i in (1, 2, 3):
            entries += pair(f"{ours}_{i}", (names["conv"], names["norm"]), i=i, **place)
        entries += pair(f"{ours}_0", names["shortcut"], **place)
        if f"{ours}_se_reduce" in known:
            for kind, source in zip(("reduce", "expand"), names["se"], strict=True):
                entries += conv(source.format(**place), model.get_layer(f"{ours}_se_{kind}"))
    return entries


def resnet_name(path: StrPath, tensors: Tensors, names: dict) -> str:
    """Return the name of the ResNet in `tensors`; `names` as in `resnet`.

    The name follows from the highest numbers of blocks and convolutions, so that `copy` can report
    a missing tensor.

    Raises:
        InputError: for numbers of blocks that `RESNETS` does not list.
    """
    patterns = [_pattern(names[kind]) for kind in ("conv", "norm") if kind in names]
    matches = [re.match(pattern, name) for name in tensors for pattern in patterns]
    places = [{key: int(n) for key, n in m.groupdict().items()} for m in matches if m]
    blocks = [0] * 4
    for place in places:
        stage = place["stage"] - names.get("first", 1)
        if stage in range(4):
            blocks[stage] = max(blocks[stage], place["block"] + 1)
    convolutions = max((place["i"] for place in places), default=0)
    if (tuple(blocks), convolutions) not in RESNETS:
        example = names["conv"].format(stage=names.get("first", 1), block=0, i=1)
        held = received(tensors)
        if places:
            counts = ", ".join(map(str, blocks))
            held = f"stages of {counts} blocks of {convolutions} convolutions"
        raise InputError(
            f"{path}: not a ResNet of 18, 34, 50, 101 or 152 layers with tensors such as "
            f"{example}.weight, but {held}."
        )
    return RESNETS[tuple(blocks), convolutions]


def _pattern(name: str) -> str:
    """Return a regular expression for the start of names, from {stage}, {block}, {i} in `name`."""
    return re.sub(r"\\{(\w+)\\}", r"(?P<\1>\\d{1,4})", re.escape(name)) + r"\."


def copy(
    path: StrPath,
    tensors: Tensors,
    model: keras.Model,
    weight_map: list[Entry],
    ignored: Sequence[str] = (),
) -> None:
    """Check the weight map against the file's tensors and the model, then copy.

    Args:
        path: the file, for messages.
        tensors: {name: array} of the file.
        model: has all variables of the map.
        weight_map: one entry for each tensor.
        ignored: patterns of the names of tensors that are not weights.

    Raises:
        InputError: names the tensors that do not fit; the model is then unchanged.
        ValueError: for two entries with the same variable.
    """
    sources = {entry.name: None for entry in weight_map}  # in their order
    targets = {id(entry.variable) for entry in weight_map}
    if len(targets) < len(weight_map):
        raise ValueError("The weight map has two entries for one variable.")
    found = [entry for entry in weight_map if entry.name in tensors]
    converted = [_converted(entry, tensors[entry.name]) for entry in found]
    variances = [entry.name for entry in found if entry.variable.path.endswith("variance")]
    faults = {
        "missing": [name for name in sources if name not in tensors],
        "left over": [n for n in tensors if not (n in sources or _matches(n, ignored))],
        "of another shape": [fault for _, fault in converted if fault],
        "not finite": [
            entry.name
            for entry, (value, fault) in zip(found, converted, strict=True)
            if not fault and not np.isfinite(value).all()
        ],
        "negative variances": [name for name in variances if np.any(np.less(tensors[name], 0))],
        "without a source": [v.path for v in model.weights if id(v) not in targets],
    }
    if any(faults.values()):
        listed = "; ".join(f"{kind} {_some(names)}" for kind, names in faults.items() if names)
        raise InputError(f"{path}: not exactly the tensors of {model.name}: {listed}.")
    for entry, (value, _) in zip(weight_map, converted, strict=True):
        entry.variable.assign(value)


def _converted(entry: Entry, tensor: np.ndarray) -> tuple[Any, str | None]:
    """Return (the value for an entry's variable, None), or (None, the fault of its shape)."""
    wanted = tuple(entry.variable.shape)
    try:
        with np.errstate(over="ignore"):  # infinities are refused below
            value = np.asarray(entry.convert(tensor), "float32")
        found = value.shape
    except (ValueError, IndexError, TypeError):  # it has other axes than the conversion needs
        found = np.shape(tensor)
    if found == wanted:
        return value, None
    return None, f"{entry.name} {found} instead of {wanted}"


def _some(names: Sequence[str]) -> str:
    more = len(names) - NAMED
    return ", ".join(map(printable, names[:NAMED])) + (f" and {more} more" if more > 0 else "")


def _matches(name: str, patterns: Sequence[str]) -> bool:
    return any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)


def _in_order(value: np.ndarray, order: np.ndarray | None) -> np.ndarray:
    if order is None:
        return value
    if len(value) != len(order):
        raise ValueError(f"{len(order)} channels are needed, got {len(value)}.")
    return value[order]
