"""RetinaNets of keras-retinanet in plain NumPy, their weights, and files of these as Keras 2 writes
them. Nothing here knows of Keras, or of the package under test.
"""

import json
from itertools import pairwise

import cv2
import h5py
import numpy as np

from .reference import conv2d, relu, sigmoid, upsample
from .reference_detections import candidates, cells, clipped, grid, suppressed

CLASSES = 3
MEAN_BGR = (103.939, 116.779, 123.68)
RESNET50 = dict(zip((2, 3, 4, 5), ("abc", "abcd", "abcdef", "abc"), strict=True))
STRIDED = (2, 4, 6, 12)  # of MobileNet's blocks
WIDE = (8, 16, 32, 32, 64, 64, 128, 128, 128, 128, 128, 128, 256, 256)  # 0.25 of its channels


# files


class Draw(dict):
    """{name of a weight: array} at random, such that activations are of order 1."""

    def __init__(self, seed=0):
        super().__init__()
        self.rng = np.random.default_rng(seed)

    def normal(self, shape, deviation):
        return (self.rng.standard_normal(shape) * deviation).astype("float32")

    def conv(self, name, kernel, inputs, outputs, bias=True, gain=2.0, part="kernel", mean=0.0):
        deviation = (gain / (kernel * kernel * (inputs if part == "kernel" else 1))) ** 0.5
        self[f"{name}/{part}"] = self.normal((kernel, kernel, inputs, outputs), deviation)
        if bias:
            self[f"{name}/bias"] = self.normal(outputs, 0.1) + np.float32(mean)

    def norm(self, name, channels, gain=1.0):
        self[f"{name}/gamma"] = gain * self.rng.uniform(0.8, 1.2, channels).astype("float32")
        self[f"{name}/beta"] = self.normal(channels, 0.1)
        self[f"{name}/moving_mean"] = self.normal(channels, 0.1)
        self[f"{name}/moving_variance"] = self.rng.uniform(0.5, 1.5, channels).astype("float32")

    def detector(self, channels, levels=(3, 4, 5, 6, 7), anchors=9, classes=CLASSES):
        """Pyramid and heads; `channels` are those of C3 to C5 by level."""
        for level in [level for level in levels if level <= 5]:
            self.conv(f"C{level}_reduced", 1, channels[level], 256, gain=1)
            self.conv(f"P{level}", 3, 256, 256)
        for level in [level for level in levels if level > 5]:
            self.conv(f"P{level}", 3, channels[5] if level == 6 else 256, 256, gain=8)
        for output, values, mean in (("regression", 4, 0), ("classification", classes, -5)):
            for i in range(4):
                self.conv(f"pyramid_{output}_{i}", 3, 256, 256)
            self.conv(f"pyramid_{output}", 3, 256, anchors * values, gain=1, mean=mean)
        return self


def vgg16():
    state, inputs = Draw(), 3
    for block, (count, outputs) in enumerate(((2, 64), (2, 128), (3, 256), (3, 512), (3, 512)), 1):
        for i in range(1, count + 1):
            state.conv(f"block{block}_conv{i}", 3, inputs, outputs)
            inputs = outputs
    return state.detector({3: 256, 4: 512, 5: 512})


def densenet121():
    state = Draw()
    state.conv("conv1/conv", 7, 3, 64, bias=False)
    state.norm("conv1/bn", 64)
    channels = 64
    for stage, count in enumerate((6, 12, 24, 16), 2):
        for block in range(1, count + 1):
            name = f"conv{stage}_block{block}"
            state.norm(f"{name}_0_bn", channels)
            state.conv(f"{name}_1_conv", 1, channels, 128, bias=False)
            state.norm(f"{name}_1_bn", 128)
            state.conv(f"{name}_2_conv", 3, 128, 32, bias=False)
            channels += 32
        if stage < 5:
            state.norm(f"pool{stage}_bn", channels)
            state.conv(f"pool{stage}_conv", 1, channels, channels // 2, bias=False)
            channels //= 2
    return state.detector({3: 512, 4: 1024, 5: 1024})


def mobilenet(**options):
    state = Draw()
    state.conv("conv1", 3, 3, 8, bias=False, gain=8)  # of pixels of -1 to 1
    state.norm("conv1_bn", 8)
    for i, (inputs, outputs) in enumerate(pairwise(WIDE), 1):
        state.conv(f"conv_dw_{i}", 3, inputs, 1, bias=False, part="depthwise_kernel")
        state.norm(f"conv_dw_{i}_bn", inputs, gain=1.15)
        state.conv(f"conv_pw_{i}", 1, inputs, outputs, bias=False)
        state.norm(f"conv_pw_{i}_bn", outputs, gain=1.15)
    return state.detector({3: 64, 4: 128, 5: 256}, **options)


def resnet50():
    state = Draw()
    state.conv("conv1", 7, 3, 64, bias=False, gain=2 / 70**2)  # of pixels less their mean
    state.norm("bn_conv1", 64)
    inputs = 64
    for stage, letters in RESNET50.items():
        width = 16 * 2**stage
        for letter in letters:
            block = f"{stage}{letter}_branch"
            for i, (kernel, ins, outs) in enumerate(
                ((1, inputs, width), (3, width, width), (1, width, 4 * width))
            ):
                state.conv(f"res{block}2{'abc'[i]}", kernel, ins, outs, bias=False)
                state.norm(f"bn{block}2{'abc'[i]}", outs, gain=0.3 if i == 2 else 1)
            if letter == "a":
                state.conv(f"res{block}1", 1, inputs, 4 * width, bias=False, gain=1)
                state.norm(f"bn{block}1", 4 * width)
            inputs = 4 * width
    return state.detector({3: 512, 4: 1024, 5: 2048})


def write(path, state, layers=None, others=()):
    """Writes weights as Keras 2 does, whole models with the configurations of some `layers`;
    `others` are layers without weights.
    """
    heads = {
        f"pyramid_{output}": f"{output}_submodel" for output in ("regression", "classification")
    }
    with h5py.File(path, "w") as file:
        root = file if layers is None else file.create_group("model_weights")
        if layers is not None:
            config = {"name": "retinanet", "layers": layers}
            file.attrs["model_config"] = json.dumps({"class_name": "Model", "config": config})
            file.create_group("optimizer_weights")["Adam/m:0"] = np.zeros(3, "float32")
        groups = {name: [] for name in others}
        for name in state:
            layer = name.rpartition("/")[0]
            prefix = "_".join(layer.split("_")[:2])
            groups.setdefault(heads.get(prefix, layer), []).append(name)
        root.attrs["layer_names"] = [layer.encode() for layer in groups]
        for layer, names in groups.items():
            group = root.create_group(layer)
            group.attrs["weight_names"] = [f"{name}:0".encode() for name in names]
            for name in names:
                group[f"{name}:0"] = state[name]
    return path


def inference(sizes=(32, 64, 128, 256, 512), ratios=None, scales=None, **options):
    """The configurations of layers that an inference model adds."""
    anchors = [
        {
            "name": f"anchors_{i}",
            "size": size,
            "stride": 8 * 2**i,
            "ratios": ratios,
            "scales": scales,
        }
        for i, size in enumerate(sizes)
    ]
    layers = [("Anchors", config) for config in reversed(anchors)]
    layers.append(("RegressBoxes", {"name": "boxes", "mean": [0] * 4, "std": [0.2] * 4}))
    layers.append(("ClipBoxes", {"name": "clipped_boxes"}))
    detections = {"nms": True, "class_specific_filter": True, "nms_threshold": 0.5}
    detections |= {"score_threshold": 0.05, "max_detections": 300, "parallel_iterations": 32}
    layers.append(("FilterDetections", {"name": "filtered_detections", **detections, **options}))
    return [
        {"class_name": kind, "config": config, "name": config["name"]} for kind, config in layers
    ]


# the forward pass: x is (B, C, H, W), the weights are in Keras's order of axes


def same(x, kernel, stride, value=0.0):
    """Padded as Keras's "same", which leaves the odd px to the end."""
    pads = [max((-(-side // stride) - 1) * stride + kernel - side, 0) for side in x.shape[2:]]
    return np.pad(x, [(0, 0), (0, 0), *((n // 2, n - n // 2) for n in pads)], constant_values=value)


def conv(x, state, name, stride=1, padding="same"):
    kernel = state[f"{name}/kernel"]
    x = same(x, len(kernel), stride) if padding == "same" else x
    return conv2d(x, kernel.transpose(3, 2, 0, 1), state.get(f"{name}/bias"), stride)


def norm(x, state, name, epsilon):
    gamma, beta, mean, variance = (
        state[f"{name}/{part}"][:, None, None]
        for part in ("gamma", "beta", "moving_mean", "moving_variance")
    )
    return (x - mean) / np.sqrt(variance + np.float32(epsilon)) * gamma + beta


def mobilenet_features(x, state):
    def layer(x, name):
        return np.clip(norm(x, state, f"{name}_bn", 1e-3), 0, 6)

    x = layer(conv(x, state, "conv1", 2), "conv1")
    found = {}
    for i in range(1, 14):
        stride = 2 if i in STRIDED else 1
        pad = (0, 1) if stride == 2 else (1, 1)
        padded = np.pad(x, [(0, 0), (0, 0), pad, pad])
        rows, columns = ((side - 3) // stride + 1 for side in padded.shape[2:])
        kernel = state[f"conv_dw_{i}/depthwise_kernel"]
        x = sum(
            padded[:, :, r::stride, c::stride][:, :, :rows, :columns]
            * kernel[r, c, :, 0, None, None]
            for r in range(3)
            for c in range(3)
        )
        x = layer(conv(layer(x, f"conv_dw_{i}"), state, f"conv_pw_{i}"), f"conv_pw_{i}")
        found[i] = x
    return [found[5], found[11], found[13]]


def resnet_features(x, state, padded):
    def layer(x, name, stride=1):
        return norm(conv(x, state, f"res{name}", stride), state, f"bn{name}", 1e-5)

    if padded:  # keras-resnet 0.1
        x = np.pad(x, [(0, 0), (0, 0), (3, 3), (3, 3)])
    x = relu(
        norm(conv(x, state, "conv1", 2, "valid" if padded else "same"), state, "bn_conv1", 1e-5)
    )
    x = same(x, 3, 2, -np.inf)
    windows = np.lib.stride_tricks.sliding_window_view(x, (3, 3), axis=(2, 3))
    x = windows[:, :, ::2, ::2].max((4, 5))
    features = []
    for stage, letters in RESNET50.items():
        for letter in letters:
            block = f"{stage}{letter}_branch"
            stride = 2 if letter == "a" and stage > 2 else 1
            y = relu(layer(x, f"{block}2a", stride))
            y = layer(relu(layer(y, f"{block}2b")), f"{block}2c")
            x = relu(y + (layer(x, f"{block}1", stride) if letter == "a" else x))
        features.append(x)
    return features[1:]


def raw(features, state, levels=(3, 4, 5, 6, 7)):
    """[(regression (N, 4), logits (N, K)), ...] of the levels, and their shapes."""
    c5 = features[-1]
    pyramid, above = {}, None
    for level in (5, 4, 3):
        x = conv(features[level - 3], state, f"C{level}_reduced")
        above = x if above is None else x + upsample(above, x.shape[2:])
        pyramid[level] = conv(above, state, f"P{level}")
    if 6 in levels:
        pyramid[6] = conv(c5, state, "P6", 2)
    if 7 in levels:
        pyramid[7] = conv(relu(pyramid[6]), state, "P7", 2)
    outputs = []
    for level in levels:
        rows = []
        for output, values in (("regression", 4), ("classification", CLASSES)):
            x = pyramid[level]
            for i in range(4):
                x = relu(conv(x, state, f"pyramid_{output}_{i}"))
            x = conv(x, state, f"pyramid_{output}")
            rows.append(x.transpose(0, 2, 3, 1).reshape(-1, values))
        outputs.append(rows)
    return outputs, [pyramid[level].shape[2:] for level in levels]


def joined(outputs):
    """(regression (N, 4), scores (N, K)) of all levels."""
    regression, logits = (np.concatenate(parts) for parts in zip(*outputs, strict=True))
    return regression, sigmoid(logits)


def caffe(bgr):
    return bgr - np.float32(MEAN_BGR)


def tf(bgr):
    return bgr / np.float32(127.5) - 1


def prepared(image, sides, mode=caffe):
    """(1, 3, H, W) BGR of an image (H, W, 3) RGB that is fitted to `sides`, and the scale."""
    scale = min(sides[0] / min(image.shape[:2]), sides[1] / max(image.shape[:2]))
    bgr = mode(image[..., ::-1].astype("float32"))
    return cv2.resize(bgr, None, fx=scale, fy=scale).transpose(2, 0, 1)[None], scale


def detections(pixels, outputs, shapes, places=None, one_class=False, limits=(0.5, 0.05, 300)):
    """(boxes (n, 4) px, scores, labels) in `pixels` (1, 3, H, W); `places` are the anchors of a
    place on each level (A, 4), `limits` the thresholds of IoU and score and the most detections.
    """
    levels = []
    for i, ((regression, logits), shape) in enumerate(zip(outputs, shapes, strict=True)):
        stride = 8 * 2**i
        cell = (cells() if places is None else places)[i] + stride / 2
        anchors = grid(cell, shape, (stride, stride))
        if one_class:
            logits = np.where(logits == logits.max(1, keepdims=True), logits, -np.inf)
        levels.append((anchors, regression, logits))

    def decode(anchors, values):
        sides = np.tile(anchors[:, 2:] - anchors[:, :2], 2)
        return anchors + 0.2 * values * sides

    boxes, scores, labels = candidates(levels, decode, best=None, threshold=limits[1])
    boxes, _ = clipped(boxes, (pixels.shape[3] - 1, pixels.shape[2] - 1), drop=False)
    kept = suppressed(boxes, scores, labels * (not one_class), limits[0], limits[2])
    return boxes[kept], scores[kept], labels[kept]
