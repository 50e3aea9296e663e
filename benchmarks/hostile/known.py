"""One specimen of each kind of fault that hostile inputs have once found."""

from __future__ import annotations

import io
import json
import struct
import zlib
from collections.abc import Callable
from functools import cache, partial

import h5py
import numpy as np

from . import commands, datasets, values, weights
from .files import NODES, Content
from .structures import SHARED, zipped

DOCTOR = ["--no-html"]
SIDE = 13_000  # px of an image that Pillow still opens
Case = tuple[str, str, list[str], dict]  # recipe, command, argv, files


@cache
def _png() -> bytes:
    """Return a black RGBA image."""
    packer, row = zlib.compressobj(1), bytes(1 + 4 * SIDE)
    body = b"".join(packer.compress(row) for _ in range(SIDE)) + packer.flush()
    header = struct.pack(">IIBBBBB", SIDE, SIDE, 8, 6, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", body), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        for name, data in chunks
    )


def _csv(rows: list[str], **files: Content) -> dict:
    return {"train.csv": "\n".join(rows).encode("utf-8", "surrogatepass"), **files}


def _json_with(kind: str, name: str, old: str, new: str) -> dict:
    """Return the files of a data set, with a part of the text of one replaced."""
    files = datasets.FORMATS[kind]()
    text = files[name].decode()
    if old not in text:
        raise ValueError(f"{name} has no {old}")
    return {**files, name: text.replace(old, new, 1).encode()}


def _data_sets() -> list[Case]:
    coco, box = "annotations/instances_train.json", '"bbox": [5, 6, 20, 20]'
    image, images = datasets.image("a.png"), datasets.images("images")
    yaml = {"train": "images/train", "names": ["cat", "dog"]}
    yolo = {name: data for name, data in datasets.yolo().items() if name != "data.yaml"}
    named = {"train.csv": b"\xff.png,1,2,30,40,cat"}
    large = [f"{i}.png,1,2,30,40,cat" for i in range(6)]
    equal = ["images/a.png,1,2,30,40,cat"] * 8000
    many = json.dumps({**yaml, "names": [f"class {i}" for i in range(20_000)]}).encode()

    def names(value: str) -> bytes:
        return f'{{"train": "images/train", "names": {value}}}'.encode()

    found = [
        ("8,000 equal boxes", _csv(equal, **images), ["csv", "in/train.csv"]),
        ("20,000 classes", {**yolo, "data.yaml": many}, ["in"]),
        ("aliases as names", {**yolo, "data.yaml": names(values.aliases(30))}, ["in"]),
        ("merge keys as names", {**yolo, "data.yaml": names(values.merges(25))}, ["in"]),
        ("NUL in a name", _json_with("coco", coco, "a.png", "a\\u0000.png"), ["in"]),
        ("surrogate in a name", _json_with("coco", coco, "a.png", "a\\ud800.png"), ["in"]),
        ("surrogate as a class", _json_with("coco", coco, '"cat"', '"\\ud800"'), ["in"]),
        ("controls as a class", _json_with("coco", coco, '"cat"', '"\\u001b[31m\\n"'), ["in"]),
        ("long class", _json_with("coco", coco, '"cat"', f'"{"A" * 5000}"'), ["in"]),
        ("long file name", _json_with("coco", coco, "a.png", "A" * 5000), ["in"]),
        ("text as bbox", _json_with("coco", coco, box, '"bbox": "1234"'), ["in"]),
        ("null as class", _json_with("coco", coco, '"cat"', "null"), ["in"]),
        ("no base64", _json_with("labelme", "a.json", '"aGVsbG8="', '"ééé"'), ["in"]),
        ("FIFO as data set", {"a": NODES["fifo"]}, ["csv", "in/a"]),
        ("FIFO beside", {**datasets.labelme(), "0.json": NODES["fifo"]}, ["in"]),
        ("endless data set", {"a.csv": NODES["endless"]}, ["csv", "in/a.csv"]),
        ("name without UTF-8", {**named, "\udcff.png": image}, ["in/train.csv"]),
        ("image of 0.7 GB", _csv(large[:1], **{"0.png": _png}), ["in/train.csv"]),
        ("6 of 0.7 GB", _csv(large, **{f"{i}.png": _png for i in range(6)}), ["in/train.csv"]),
    ]  # fmt: skip
    return [
        case
        for recipe, made, data in found
        for case in (
            (recipe, "doctor", [*DOCTOR, *data], made),
            (recipe, "convert_dataset", [*data, "csv", "out/set"], made),
        )
    ]


def _weights() -> list[Case]:
    key = b"(" + weights.plain("storage") + b"ctorch\nFloatStorage\n" + SHARED
    streams = {
        "as value": SHARED,
        "as key": key + weights.plain("cpu") + b"K\x01tQ",
        "to encode": b"c_codecs\nencode\n(" + SHARED + b"tR",
        "as pair": b"ccollections\nOrderedDict\n(](" + SHARED + b"N\x86etR",
    }
    task = json.loads(weights.preset()["task.json"])
    types = weights.safetensors().replace(b"F32", b"F16")
    found = [
        *((f"shared {how}", "torchvision", "a.pth", b"\x80\x02" + stream + b".")
          for how, stream in streams.items()),
        ("half as many numbers", "backbone", "a.safetensors", types),
        ("type F8", "backbone", "a.safetensors", weights.safetensors(dtype="F8_E4M3", size=1)),
        ("300 nested entries", "torchvision", "a.pth", partial(_nested, 300, 8_000_000)),
        ("named type", "keras-retinanet", "a.h5", _hdf5(_named_type)),
        ("dataset by 150 names", "keras-retinanet", "a.h5", partial(_hdf5, _many_names)),
    ]  # fmt: skip
    cases: list[Case] = [
        (recipe, "import_weights", [source, f"in/{name}", "out/w.keras"], {name: data})
        for recipe, source, name, data in found
    ]
    for path, value in (
        (["num_classes"], 10**12),
        (["num_classes"], float("inf")),
        (["pre_logits_num_conv_layers"], 10**12),
        (["anchor_generator", "config", "num_scales"], 10**12),
        (["anchor_generator", "config", "num_scales"], -1),
        (["anchor_generator", "config", "aspect_ratios"], None),
        (["prediction_decoder", "config"], None),
    ):
        changed = json.loads(json.dumps(task))
        holder = changed["config"]
        for name in path[:-1]:
            holder = holder[name]
        holder[path[-1]] = value
        made = {**weights.preset(), "task.json": json.dumps(changed).encode()}
        recipe = f"{path[-1]} {value}"
        cases.append((recipe, "import_weights", ["kerashub", "in", "out/w.keras"], made))
    return cases


def _nested(count: int, size: int) -> bytes:
    """Return PyTorch's zip file in which each storage is all of the file behind it."""
    data, names = b"\0" * size, [f"archive/data/{i}" for i in range(count)]
    shapes, entries = {}, []
    for name in reversed(names):
        length = len(data)
        shapes[name] = (length // 4,)
        fields = (20, 0, 0, 0, 33, zlib.crc32(data), length, length, len(name), 0)
        data = struct.pack("<IHHHHHIIIHH", 0x04034B50, *fields) + name.encode() + data
        entries.append((fields, name, len(data)))
    stream = weights.state_dict(dict(reversed(shapes.items())))
    whole = zipped([("archive/data.pkl", b"\x80\x02" + stream)])
    first, last = whole.index(b"PK\x01\x02"), whole.index(b"PK\x05\x06")
    data, rows = whole[:first] + data, whole[first:last]
    end = len(data)
    for fields, name, from_end in entries:
        row = (0x02014B50, 20, *fields, 0, 0, 0, 0, end - from_end)
        rows += struct.pack("<IHHHHHHIIIHHHHHII", *row) + name.encode()
    tail = (0x06054B50, 0, 0, count + 1, count + 1, len(rows), end, 0)
    return data + rows + struct.pack("<IHHHHIIH", *tail)


def _hdf5(change: Callable[[h5py.File], None]) -> bytes:
    file = io.BytesIO(weights.hdf5())
    with h5py.File(file, "r+") as root:
        change(root)
    return file.getvalue()


def _named_type(root: h5py.File) -> None:
    root["type"] = np.dtype("f4")


def _many_names(root: h5py.File) -> None:
    """Name one dataset of 16 MB by 150 pairs of layer and weight."""
    parts = ["g"] * 300
    root["/".join([*parts, "x"])] = np.zeros(4_000_000, "f4")
    layers = {"/".join(parts[:i]): "/".join([*parts[i:], "x"]) for i in range(1, 151)}
    root.attrs["layer_names"] = [*layers]
    for layer, weight in layers.items():
        root[layer].attrs["weight_names"] = [weight]


def _options() -> list[Case]:
    usual, made = commands.USUAL, {**datasets.csv(), "anchors.ini": commands.INI.encode()}
    debug = [
        ["--assigner", f"{kind}"]
        for kind in ("atss:top_k=1.5", "atss:top_k=0", "iou:positive_overlap='a'",
                     "iou:positive_overlap=(1,2)", "iou:negative_overlap=None")
    ]  # fmt: skip
    train = [
        ["--head-depth=1000"],
        ["--feature-size=1000000000"],
        ["--head-size=100000000000000000000"],
        ["--batch-size=1000000"],
        ["--batch-size=99999999999999999999"],
        [f"--coder=corners:std={'-' * 100_000}1"],
    ]
    return [
        *((given[-1][:40], "debug", [*given, *usual["debug"]], made) for given in debug),
        *((given[-1][:40], "train", [*usual["train"], *given], made) for given in train),
    ]


@cache
def cases() -> list[Case]:
    return [*_data_sets(), *_weights(), *_options()]
