"""Which tensor of a file goes where in a model, and the one checked copy.

A source's map is a list of moves. `copy` makes them all or none: every tensor of the file must have
its place and every weight of the model its tensor, of equal shape and of finite numbers.
"""

import fnmatch
import re
from collections import namedtuple

import keras
import numpy as np

from ..errors import InputError
from .signs import received

# source tensor, target Keras variable, what makes the one the other: ndarray -> ndarray
Move = namedtuple("Move", ["name", "variable", "change"], defaults=[np.asarray])

NAMED = 5  # of each kind of fault

RESNETS = {  # blocks of each stage, convolutions of a block
    ((2, 2, 2, 2), 2): "resnet18",
    ((3, 4, 6, 3), 2): "resnet34",
    ((3, 4, 6, 3), 3): "resnet50",
    ((3, 4, 23, 3), 3): "resnet101",
    ((3, 8, 36, 3), 3): "resnet152",
}


def conv(name, layer, order=None):
    """Moves of PyTorch's convolution (O, I / groups, H, W) or linear layer (O, I), and its bias.

    `order` (O,) lists the source's output channels as the layer has them.
    """

    def kernel(value):
        value = _in_order(value, order)
        if isinstance(layer, keras.layers.DepthwiseConv2D):  # (C·M, 1, H, W) -> (H, W, C, M)
            value = np.transpose(value, (2, 3, 0, 1))
            return np.reshape(value, (*value.shape[:2], -1, layer.depth_multiplier))
        return np.transpose(value, (*range(2, np.ndim(value)), 1, 0))  # (H, W, I / groups, O)

    moves = [Move(f"{name}.weight", layer.kernel, kernel)]
    if layer.bias is not None:
        moves.append(Move(f"{name}.bias", layer.bias, lambda value: _in_order(value, order)))
    return moves


def norm(name, layer):
    """Moves of PyTorch's batch norm, or of its group or layer norm, which keep no statistics."""
    moves = [Move(f"{name}.weight", layer.gamma), Move(f"{name}.bias", layer.beta)]
    if isinstance(layer, keras.layers.BatchNormalization):
        moves.append(Move(f"{name}.running_mean", layer.moving_mean))
        moves.append(Move(f"{name}.running_var", layer.moving_variance))
    return moves


def scale(name, variable):
    """The move of factors, one for all channels or one each (C,): (), (C,), (C, 1, 1)."""
    shape = tuple(variable.shape)
    return Move(
        name,
        variable,
        lambda value: np.squeeze(value) if np.size(value) > 1 else np.reshape(value, shape),
    )


def resnet(model, names):
    """Moves of a ResNet as PyTorch's projects write it, into `model` with our names of layers.

    `names` holds the source's: "stem" and "shortcut" (convolution, norm), "conv" and "norm" of the
    convolution {i} of {block} in {stage}, as in "layer{stage}.{block}.conv{i}", "first", the number
    of the first stage (1 if left out), and for squeeze and excitation "se" (reduce, expand).
    """
    known = [layer.name for layer in model.layers]

    def pair(ours, source, **place):
        if f"{ours}_conv" not in known:
            return []
        convolution, normalisation = (name.format(**place) for name in source)
        moves = conv(convolution, model.get_layer(f"{ours}_conv"))
        return moves + norm(normalisation, model.get_layer(f"{ours}_bn"))

    moves = pair("conv1", names["stem"])
    for block in filter(None, (re.fullmatch(r"(conv(\d)_block(\d+))_out", name) for name in known)):
        ours, stage, number = block[1], int(block[2]), int(block[3])
        place = {"stage": stage - 2 + names.get("first", 1), "block": number - 1}
        for i in (1, 2, 3):
            moves += pair(f"{ours}_{i}", (names["conv"], names["norm"]), i=i, **place)
        moves += pair(f"{ours}_0", names["shortcut"], **place)
        if f"{ours}_se_reduce" in known:
            for kind, source in zip(("reduce", "expand"), names["se"], strict=True):
                moves += conv(source.format(**place), model.get_layer(f"{ours}_se_{kind}"))
    return moves


def resnet_name(path, tensors, names):
    """The name of the ResNet that `tensors` are of, see `resnet` for `names`.

    What counts is the highest number of a block and of a convolution in any name, so that a tensor
    that is missing is one for `copy` to tell.
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
            f"{path}: expected a ResNet of 18, 34, 50, 101 or 152 layers, with tensors such as "
            f"{example}.weight. Received: {held}."
        )
    return RESNETS[tuple(blocks), convolutions]


def _pattern(name):
    """The beginnings of tensors' names that a name with {stage}, {block} and {i} stands for."""
    return re.sub(r"\\{(\w+)\\}", r"(?P<\1>\\d{1,4})", re.escape(name)) + r"\."


def copy(path, tensors, model, moves, ignored=()):
    """Checks all `moves` of the tensors {name: array} of the file `path`, then makes them.

    `ignored` are patterns of the names of tensors that hold no weights. Raises an InputError that
    names the faults, and leaves the model as it is, unless all fits.
    """
    sources = {move.name: None for move in moves}  # in their order
    targets = {id(move.variable) for move in moves}
    if len(targets) < len(moves):
        raise ValueError("Expected one move to each variable. Received: two to the same one.")
    found = [move for move in moves if move.name in tensors]
    changed = [_changed(move, tensors[move.name]) for move in found]
    variances = [move.name for move in found if move.variable.path.endswith("variance")]
    faults = {
        "missing": [name for name in sources if name not in tensors],
        "left over": [n for n in tensors if not (n in sources or _matches(n, ignored))],
        "of another shape": [fault for _, fault in changed if fault],
        "not finite": [
            move.name
            for move, (value, fault) in zip(found, changed, strict=True)
            if not fault and not np.isfinite(value).all()
        ],
        "negative variances": [name for name in variances if np.any(np.less(tensors[name], 0))],
        "without a source": [v.path for v in model.weights if id(v) not in targets],
    }
    if any(faults.values()):
        listed = "; ".join(f"{kind} {_some(names)}" for kind, names in faults.items() if names)
        raise InputError(
            f"{path}: expected the tensors of {model.name}, all of them and no others. "
            f"Received: {listed}."
        )
    for move, (value, _) in zip(moves, changed, strict=True):
        move.variable.assign(value)


def _changed(move, tensor):
    """(the value of a move's variable, None), or (None, what is wrong with the tensor's shape)."""
    wanted = tuple(move.variable.shape)
    try:
        with np.errstate(over="ignore"):  # infinity, which is refused, says enough
            value = np.asarray(move.change(tensor), "float32")
        found = value.shape
    except (ValueError, IndexError, TypeError):  # it has not even the axes that are to be moved
        found = np.shape(tensor)
    if found == wanted:
        return value, None
    return None, f"{move.name} {found} instead of {wanted}"


def _some(names):
    """Up to `NAMED` of the names in words."""
    more = len(names) - NAMED
    return ", ".join(names[:NAMED]) + (f" and {more} more" if more > 0 else "")


def _matches(name, patterns):
    return any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)


def _in_order(value, order):
    if order is None:
        return value
    if len(value) != len(order):
        raise ValueError(f"Expected {len(order)} channels. Received: {len(value)}.")
    return value[order]
