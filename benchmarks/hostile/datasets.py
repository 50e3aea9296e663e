"""A small valid data set in each format: {path: bytes}, two images, two classes, four boxes."""

from __future__ import annotations

import io
import json
from functools import cache

import numpy as np
from PIL import ExifTags, Image

from .files import Files

SIZES = {"a.png": (64, 48), "b.jpg": (48, 64)}  # (width, height) px
BOXES = (("a.png", "cat", (5, 6, 25, 26)), ("a.png", "dog", (30, 10, 60, 40)),
         ("b.jpg", "cat", (1, 2, 41, 52)), ("b.jpg", "dog", (10, 30, 20, 60)))  # fmt: skip
NAMES = ("cat", "dog")


FORMAT = {"jpg": "JPEG", "png": "PNG", "tif": "TIFF", "webp": "WEBP", "bmp": "BMP", "gif": "GIF"}


@cache
def image(name: str, mode: str = "RGB") -> bytes:
    """Return an image file with noise; the suffix decides the format."""
    width, height = SIZES.get(name, (64, 48))
    pixels = np.random.default_rng(len(name)).integers(0, 255, (height, width, 3), np.uint8)
    file, exif = io.BytesIO(), Image.Exif()
    exif[ExifTags.Base.Orientation] = 6 if mode == "CMYK" else 1
    kind = FORMAT[name.rpartition(".")[2]]
    how = {} if kind in ("BMP", "GIF") else {"exif": exif}
    Image.fromarray(pixels).convert(mode).save(file, kind, **how)
    return file.getvalue()


def images(folder: str) -> dict[str, bytes]:
    return {f"{folder}/{name}": image(name) for name in SIZES}


def csv() -> dict[str, bytes]:
    rows = [f"images/{name},{','.join(map(str, box))},{label}" for name, label, box in BOXES]
    classes = [f"{name},{label}" for label, name in enumerate(NAMES)]
    files = {"train.csv": rows, "classes.csv": classes}
    return {name: "\n".join(lines).encode() for name, lines in files.items()} | images("images")


def coco() -> dict[str, bytes]:
    content = {
        "images": [
            {"id": i, "file_name": name, "width": size[0], "height": size[1]}
            for i, (name, size) in enumerate(SIZES.items())
        ],
        "categories": [{"id": i + 1, "name": name} for i, name in enumerate(NAMES)],
        "annotations": [
            {
                "id": i,
                "image_id": list(SIZES).index(name),
                "category_id": NAMES.index(label) + 1,
                "bbox": [x1, y1, x2 - x1, y2 - y1],
                "area": (x2 - x1) * (y2 - y1),
                "iscrowd": 0,
            }
            for i, (name, label, (x1, y1, x2, y2)) in enumerate(BOXES)
        ],
    }
    return {"annotations/instances_train.json": _json(content)} | images("images/train")


def pascal() -> dict[str, bytes]:
    files = {"ImageSets/Main/train.txt": b"a\nb\n"}
    for name, (width, height) in SIZES.items():
        corners = [
            f"<object><name>{label}</name><difficult>0</difficult><truncated>0</truncated><bndbox>"
            f"<xmin>{x1}</xmin><ymin>{y1}</ymin><xmax>{x2}</xmax><ymax>{y2}</ymax></bndbox></object>"
            for of, label, (x1, y1, x2, y2) in BOXES
            if of == name
        ]
        size = f"<size><width>{width}</width><height>{height}</height><depth>3</depth></size>"
        head = f"<annotation><filename>{name}</filename>{size}"
        files[f"Annotations/{name[0]}.xml"] = f"{head}{''.join(corners)}</annotation>".encode()
    return files | images("JPEGImages")


def kitti() -> dict[str, bytes]:
    files = {}
    for name in SIZES:
        rows = [
            f"{label} 0.0 0 0 {' '.join(f'{v}.0' for v in box)} 1 1 1 0 0 0 0"
            for of, label, box in BOXES
            if of == name
        ]
        files[f"training/label_2/{name[0]}.txt"] = "\n".join(rows).encode()
    return files | images("training/image_2")


def oid() -> dict[str, bytes]:
    rows = ["ImageID,LabelName,XMin,XMax,YMin,YMax,IsGroupOf"]
    for name, label, (x1, y1, x2, y2) in BOXES:
        w, h = SIZES[name]
        rows.append(f"{name[0]},/m/{label},{x1 / w},{x2 / w},{y1 / h},{y2 / h},0")
    tree = {"LabelName": "/m/all", "Subcategory": [{"LabelName": f"/m/{n}"} for n in NAMES]}
    return {
        "annotations/train-annotations-bbox.csv": "\n".join(rows).encode(),
        "annotations/class-descriptions-boxable.csv": b"/m/cat,cat\n/m/dog,dog\n/m/all,all\n",
        "annotations/bbox_labels_600_hierarchy.json": _json(tree),
        "annotations/train-images-boxable-with-rotation.csv": b"ImageID,Subset\na,train\nb,train\n",
    } | images("images/train")


def yolo() -> dict[str, bytes]:
    content = {"path": ".", "train": "images/train", "nc": 2, "names": list(NAMES)}
    files = {"data.yaml": _json(content)}
    for name, (w, h) in SIZES.items():
        rows = [
            f"{NAMES.index(label)} {(x1 + x2) / 2 / w} {(y1 + y2) / 2 / h} "
            f"{(x2 - x1) / w} {(y2 - y1) / h}"
            for of, label, (x1, y1, x2, y2) in BOXES
            if of == name
        ]
        files[f"labels/train/{name[0]}.txt"] = "\n".join(rows).encode()
    return files | images("images/train")


def labelme() -> dict[str, bytes]:
    files = {}
    for name, (width, height) in SIZES.items():
        shapes = [
            {"label": label, "points": [[x1, y1], [x2, y2]], "shape_type": "rectangle"}
            for of, label, (x1, y1, x2, y2) in BOXES
            if of == name
        ]
        content = {"shapes": shapes, "imagePath": name, "imageData": "aGVsbG8="}
        files[f"{name[0]}.json"] = _json(content | {"imageWidth": width, "imageHeight": height})
    return files | {name: image(name) for name in SIZES}


def cvat() -> dict[str, bytes]:
    parts = ["<annotations><meta><task><labels>"]
    parts += [f"<label><name>{name}</name></label>" for name in NAMES]
    parts.append("</labels></task></meta>")
    for i, (name, (width, height)) in enumerate(SIZES.items()):
        parts.append(f'<image id="{i}" name="{name}" width="{width}" height="{height}">')
        parts += [
            f'<box label="{label}" xtl="{x1}" ytl="{y1}" xbr="{x2}" ybr="{y2}" occluded="0"/>'
            f'<polygon label="{label}" points="{x1},{y1};{x2},{y2};{x1},{y2}"/>'
            for of, label, (x1, y1, x2, y2) in BOXES
            if of == name
        ]
        parts.append("</image>")
    parts.append(
        '<track id="0" label="cat"><box frame="0" outside="0" xtl="1" ytl="2" xbr="30" ybr="40"/>'
        "</track></annotations>"
    )
    frame = {"images/frame_000000.png": image("frame_000000.png")}
    return {"annotations.xml": "".join(parts).encode()} | images("images") | frame


def _json(content: object) -> bytes:
    return json.dumps(content).encode()


FORMATS = {f.__name__: f for f in (csv, coco, pascal, kitti, oid, yolo, labelme, cvat)}


def annotations_of(files: Files) -> list[str]:
    """Return the names of the annotation files."""
    return [name for name in files if not name.endswith((".png", ".jpg"))]
