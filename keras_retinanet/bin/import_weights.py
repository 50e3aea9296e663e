"""Import weights from another project: `retinanet-import-weights SOURCE FILE OUT.keras`."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator, Sequence

from ..errors import InputError
from ..options import SHARE
from ..utils.outputs import check_outputs
from ..utils.text import listed
from ..weights import SOURCES, Imported, import_weights
from ..weights.coco import COCO_80
from .arguments import number
from .cli import start_backend, user_errors


def parse_args(args: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="retinanet-import-weights",
        usage="%(prog)s [options] SOURCE FILE OUT.keras",
        description="Import the weights of another project's RetinaNet, or of a bare ImageNet "
        "backbone, into a .keras file. Code in the weight file is never run.",
    )
    parser.add_argument("source", metavar="SOURCE", choices=SOURCES, help=listed(SOURCES))
    parser.add_argument(
        "file",
        metavar="FILE",
        help="weight file: .h5, .pth, .pkl or .safetensors; for kerashub, the folder of a preset",
    )
    parser.add_argument("out", metavar="OUT.keras", help="the file to write")
    parser.add_argument(
        "--classes", metavar="CSV", help="class file with rows name,id (COCO's class names)"
    )
    parser.add_argument(
        "--backbone", metavar="NAME", help="the backbone (recognized by its tensors)"
    )
    parser.add_argument(
        "--epsilon",
        type=number(float, SHARE),
        metavar="E",
        help="torchvision: epsilon of batch norm (1e-5 if the file counts batches, else 0)",
    )
    parser.add_argument(
        "--config",
        metavar="INI",
        help="keras-retinanet: INI file with the anchors of a training model (the defaults)",
    )
    return parser.parse_args(args)


def check(args: argparse.Namespace) -> None:
    """Check the arguments before any work."""
    if os.path.splitext(args.out)[1] != ".keras":
        raise InputError(f"{args.out} must end in .keras.")
    check_outputs({"OUT.keras": [args.out]}, filter(None, (args.file, args.classes, args.config)))
    if not os.path.exists(args.file):
        raise InputError(f"{args.file}: no such file.")
    if args.source == "backbone" and args.classes:
        raise InputError("A bare backbone has no classes; remove --classes.")


def run(args: argparse.Namespace) -> None:
    check(args)
    from ..utils.config import read_anchors

    class_names = None
    if args.classes:
        from ..preprocessing.readers.csv import read_classes

        ids = read_classes(args.classes)
        class_names = sorted(ids, key=ids.get)
    anchors, levels = read_anchors(args.config) if args.config else (None, None)
    start_backend()
    from ..models import backbone
    from ..training.snapshots import save_whole

    name = args.backbone and backbone(args.backbone).backbone
    imported = import_weights(args.source, args.file, class_names, name, args.epsilon, anchors)
    model = imported.model
    if levels and levels != model.pyramid_levels:
        raise InputError(
            f"{args.config}: the pyramid levels must be {model.pyramid_levels} as in {args.file}, "
            f"got {levels}."
        )
    save_whole(model, args.out)
    print("\n".join(report(imported, args)))


def report(imported: Imported, args: argparse.Namespace) -> Iterator[str]:
    """Yield lines about the model, and the command to run next."""
    model = imported.model
    size = f"{model.count_params() / 1e6:.1f} million numbers"
    tensors = f"{len(model.weights)} tensors, {size}, each in its place"
    if args.source == "backbone":
        yield f"{args.file}: {model.name}, {tensors}"
        yield f"wrote {args.out}"
        yield f"next: retinanet-train --weights {args.out} ..."
        return
    yield f"{args.file}: {model.name} on {model.backbone_name}, {tensors}"
    known = model.class_names
    names = f": {listed(known, most=5)}" if known else " without names: name them with --classes"
    yield f"{model.num_classes} classes{names}"
    for line in imported.assumed:
        yield f"assumed: {line}"
    yield f"wrote {args.out}"
    dataset = "coco FOLDER" if set(COCO_80) <= set(known or ()) else "DATASET"
    yield f"next: retinanet-evaluate --convert-model {dataset} {args.out}"


def main(args: Sequence[str] | None = None) -> None:
    with user_errors("retinanet-import-weights"):
        run(parse_args(sys.argv[1:] if args is None else args))


if __name__ == "__main__":
    main()
