"""Small files of weights of other projects, and presets of KerasHub."""

from __future__ import annotations

import io
import json
import math
import pickle
import struct
import zipfile

import h5py
import numpy as np

Shapes = dict[str, tuple[int, ...]]
TENSORS: Shapes = {
    "backbone.body.conv1.weight": (4, 3, 2, 2),
    "head.bias": (4,),
    "fc.weight": (2, 4),
}


def arrays() -> dict[str, np.ndarray]:
    return {
        name: np.arange(np.prod(shape), dtype="f4").reshape(shape)
        for name, shape in TENSORS.items()
    }


def plain(value: object) -> bytes:
    """Return the instructions of a pickle that push a plain value."""
    return pickle.dumps(value, 2)[2:-1]


def tensor(key: int, shape: tuple[int, ...]) -> bytes:
    """Return the instructions that push a float32 tensor in the storage of a number."""
    size = int(np.prod(shape))
    kind = plain("storage") + b"ctorch\nFloatStorage\n"
    storage = b"(" + kind + plain(str(key)) + plain("cpu") + plain(size) + b"tQ"
    strides = tuple(step // 4 for step in np.empty(shape, "f4").strides)
    view = storage + plain(0) + plain(shape) + plain(strides) + plain(False)
    hooks = b"ccollections\nOrderedDict\n)R"
    return b"ctorch._utils\n_rebuild_tensor_v2\n(" + view + hooks + b"tR"


def state_dict(shapes: Shapes = TENSORS) -> bytes:
    """Return the pickle of tensors whose storages are numbered, without its first two bytes."""
    rows = [plain(name) + tensor(key, shape) for key, (name, shape) in enumerate(shapes.items())]
    return b"}(" + b"".join(rows) + b"u."


def torch_zip(stream: bytes = b"") -> bytes:
    """Return PyTorch's zip file around a pickle."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("archive/data.pkl", b"\x80\x02" + (stream or state_dict()))
        for key, array in enumerate(arrays().values()):
            archive.writestr(f"archive/data/{key}", array.tobytes())
        archive.writestr("archive/version", "3\n")
    return file.getvalue()


def torch_older() -> bytes:
    """Return PyTorch's older file: pickles in a row, then the storages."""
    system = {"protocol_version": 1001, "little_endian": True, "type_sizes": {"int": 4}}
    keys = [str(key) for key in range(len(TENSORS))]
    pickles = [plain(0x1950A86A20F9469CFC6C) + b".", plain(1001) + b".", plain(system) + b"."]
    pickles += [state_dict().replace(b"tQ", b"NtQ"), plain(keys) + b"."]
    storages = [struct.pack("<q", a.size) + a.tobytes() for a in arrays().values()]
    return b"".join(b"\x80\x02" + content for content in pickles) + b"".join(storages)


def arrays_pickle() -> bytes:
    return pickle.dumps({"model": arrays()}, protocol=2)


def hdf5() -> bytes:
    """Return weights as Keras 2 writes them."""
    file = io.BytesIO()
    with h5py.File(file, "w") as root:
        root.attrs["layer_names"] = [b"conv1", b"head"]
        for layer in ("conv1", "head"):
            root.create_group(layer).attrs["weight_names"] = [f"{layer}/kernel:0".encode()]
            root[layer][f"{layer}/kernel:0"] = np.ones((2, 3), "f4")
    return file.getvalue()


def safetensors(shapes: Shapes = TENSORS, dtype: str = "F32", size: int = 4) -> bytes:
    """Return tensors of zeros as safetensors has them: a header's length, the header, numbers.

    Args:
        size: bytes of a number of the type.
    """
    header, end = {}, 0
    for name, shape in shapes.items():
        start, end = end, end + size * math.prod(shape)
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [start, end]}
    return with_header(json.dumps(header).encode(), bytes(end))


def with_header(header: bytes, numbers: bytes) -> bytes:
    return struct.pack("<Q", len(header)) + header + numbers


def preset() -> dict[str, bytes]:
    """Return the files of a preset; the tensors do not fit the model."""

    def part(kind: str, **config: object) -> dict:
        return {"class_name": kind, "config": config}

    encoder = part(
        "ResNetBackbone",
        block_type="basic_block",
        stackwise_num_blocks=[2, 2, 2, 2],
        input_conv_filters=[64],
        input_conv_kernel_sizes=[7],
        stackwise_num_filters=[64, 128, 256, 512],
        stackwise_num_strides=[1, 2, 2, 2],
        use_pre_activation=False,
    )
    levels = {"min_level": 3, "max_level": 7}
    converter = {
        "scale": [1 / 255 / 0.229, 1 / 255 / 0.224, 1 / 255 / 0.225],
        "offset": [-0.485 / 0.229, -0.456 / 0.224, -0.406 / 0.225],
        "image_size": [64, 64],
        "pad_to_aspect_ratio": True,
        "interpolation": "bilinear",
        "antialias": False,
    }
    ratios = [0.5, 1.0, 2.0]
    task = part(
        "RetinaNetObjectDetector",
        backbone=part("RetinaNetBackbone", image_encoder=encoder, use_p5=False, **levels),
        anchor_generator=part(
            "AnchorGenerator", num_scales=3, aspect_ratios=ratios, anchor_size=4.0, **levels
        ),
        preprocessor=part("Preprocessor", image_converter=part("ImageConverter", **converter)),
        prediction_decoder=part(
            "NonMaxSuppression",
            from_logits=True,
            iou_threshold=0.5,
            confidence_threshold=0.5,
            max_detections=100,
        ),
        num_classes=2,
        pre_logits_num_conv_layers=1,
        use_prediction_head_norm=False,
    )
    files = {"model.weights.h5": hdf5(), "task.weights.h5": hdf5()}
    return {"task.json": json.dumps(task).encode(), **files}


SEEDS = {
    "a.pth": ("torchvision", torch_zip),
    "older.pth": ("torchvision", torch_older),
    "a.pkl": ("detectron2", arrays_pickle),
    "a.safetensors": ("backbone", safetensors),
    "a.h5": ("keras-retinanet", hdf5),
}
