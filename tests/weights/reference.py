"""An independent RetinaNet in plain NumPy: what PyTorch's projects compute, from a state dict.

Arrays are (B, C, H, W) as in PyTorch. Nothing here knows of Keras, or of the package under test.
"""

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

BLOCKS = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3), 50: (3, 4, 6, 3), 101: (3, 4, 23, 3)}

# the operations


def conv2d(x, weight, bias=None, stride=1, padding=0):
    """x (B, I, H, W) with weight (O, I, h, w): windows as rows of a matrix, and one product."""
    x = np.pad(x, [(0, 0), (0, 0), (padding, padding), (padding, padding)])
    windows = sliding_window_view(x, weight.shape[2:], axis=(2, 3))[:, :, ::stride, ::stride]
    batch, _, rows, columns = windows.shape[:4]
    matrix = windows.transpose(0, 2, 3, 1, 4, 5).reshape(batch * rows * columns, -1)
    y = matrix @ weight.reshape(len(weight), -1).T
    y = y if bias is None else y + bias
    return y.reshape(batch, rows, columns, -1).transpose(0, 3, 1, 2)


def batch_norm(x, state, name, epsilon):
    mean, variance, weight, bias = (
        state[f"{name}.{part}"][:, None, None]
        for part in ("running_mean", "running_var", "weight", "bias")
    )
    return (x - mean) / np.sqrt(variance + np.float32(epsilon)) * weight + bias


def group_norm(x, weight, bias, groups=32, epsilon=1e-5):
    parts = x.reshape(len(x), groups, -1)
    mean, variance = parts.mean(2, keepdims=True), parts.var(2, keepdims=True)
    x = ((parts - mean) / np.sqrt(variance + epsilon)).reshape(x.shape)
    return x * weight[:, None, None] + bias[:, None, None]


def relu(x):
    return np.maximum(x, 0)


def max_pool(x, size=3, stride=2, padding=1):
    pad = [(0, 0), (0, 0), (padding, padding), (padding, padding)]
    x = np.pad(x, pad, constant_values=-np.inf)
    windows = sliding_window_view(x, (size, size), axis=(2, 3))[:, :, ::stride, ::stride]
    return windows.max((4, 5))


def upsample(x, shape):
    """The nearest of x (B, C, h, w) for each place of `shape` (H, W)."""
    rows, columns = (np.arange(n) * m // n for n, m in zip(shape, x.shape[2:], strict=True))
    return x[:, :, rows][:, :, :, columns]


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def softmax(x):
    weights = np.exp(x - x.max(-1, keepdims=True))
    return weights / weights.sum(-1, keepdims=True)


# networks: `names` says how a project writes a convolution and its norm


def convolved(x, state, name, stride=1, padding=0):
    return conv2d(x, state[f"{name}.weight"], state.get(f"{name}.bias"), stride, padding)


def resnet(x, state, depth, names, epsilon=1e-5, stride_in="3x3"):
    """[C3, C4, C5] of x (B, 3, H, W)."""

    def layer(x, conv, norm, stride=1, padding=0):
        return batch_norm(convolved(x, state, conv, stride, padding), state, norm, epsilon)

    def block(x, stage, number, stride):
        def inner(x, i, stride=1, padding=0):
            place = {"stage": stage, "block": number, "i": i}
            return layer(
                x, names["conv"].format(**place), names["norm"].format(**place), stride, padding
            )

        if depth < 50:
            y = inner(relu(inner(x, 1, stride, 1)), 2, 1, 1)
        else:
            first, second = (stride, 1) if stride_in == "1x1" else (1, stride)
            y = inner(relu(inner(relu(inner(x, 1, first)), 2, second, 1)), 3)
        shortcut = [name.format(stage=stage, block=number) for name in names["shortcut"]]
        if f"{shortcut[0]}.weight" in state:
            x = layer(x, *shortcut, stride)
        return relu(x + y)

    x = max_pool(relu(layer(x, *names["stem"], 2, 3)))
    features = []
    for stage, count in enumerate(BLOCKS[depth]):
        for number in range(count):
            stride = 2 if stage > 0 and number == 0 else 1
            x = block(x, stage + names["first"], number, stride)
        features.append(x)
    return features[1:]


def pyramid(features, state, names, p7_relu=True):
    """[P3, ..., P7] of [C3, C4, C5]; P6 is from that of C5 and P5 that its weights fit."""
    levels = [convolved(x, state, n) for x, n in zip(features, names["lateral"], strict=True)]
    for i in (1, 0):
        levels[i] = levels[i] + upsample(levels[i + 1], levels[i].shape[2:])
    levels = [
        convolved(x, state, name, 1, 1) for x, name in zip(levels, names["output"], strict=True)
    ]
    wanted = state[f"{names['P6']}.weight"].shape[1]
    source = levels[2] if wanted == levels[2].shape[1] else features[2]
    p6 = convolved(source, state, names["P6"], 2, 1)
    p7 = convolved(relu(p6) if p7_relu else p6, state, names["P7"], 2, 1)
    return [*levels, p6, p7]


def head(x, state, names, values):
    """Rows (B, H·W·A, V) of a head on one level x (B, C, H, W)."""
    for conv, norm in zip(names["convs"], names["norms"], strict=True):
        x = convolved(x, state, conv, 1, 1)
        if norm is not None:
            x = group_norm(x, state[f"{norm}.weight"], state[f"{norm}.bias"])
        x = relu(x)
    x = convolved(x, state, names["last"], 1, 1)
    return x.transpose(0, 2, 3, 1).reshape(len(x), -1, values)


def raw(images, state, names, depth=50, values=4, classes=4, p7_relu=True, **body):
    """Raw outputs of every level, [(regression (B, Nl, V), logits (B, Nl, K)), ...], and the shapes
    of the levels, [(rows, columns), ...]; `images` (B, 3, H, W) are normalised and padded.
    """
    levels = pyramid(resnet(images, state, depth, names, **body), state, names, p7_relu)
    outputs = []
    for i, level in enumerate(levels):
        regression = head(level, state, names["regression"], values)
        if names.get("scales"):
            regression = regression * state[names["scales"][i]]
        outputs.append((regression, head(level, state, names["classification"], classes)))
    return outputs, [level.shape[2:] for level in levels]
