"""Takes over weights of another project: `retinanet-import-weights SOURCE FILE OUT.keras`."""

import argparse
import os
import sys

from ..errors import InputError
from ..utils.outputs import check_outputs
from ..utils.text import listed
from ..weights import SOURCES, import_weights
from ..weights.coco import COCO_80
from .cli import chosen_backbone, num_classes, read_config, start_backend, user_errors


def parse_args(args):
    parser = argparse.ArgumentParser(
        prog="retinanet-import-weights",
        usage="%(prog)s [options] SOURCE FILE OUT.keras",
        description="Take over the weights of a RetinaNet of another project, or those of a bare "
        "ImageNet backbone, as a .keras file. Files are read without executing what is in them.",
    )
    parser.add_argument("source", metavar="SOURCE", choices=SOURCES, help=listed(SOURCES))
    parser.add_argument(
        "file",
        metavar="FILE",
        help="its weights: .h5, .pth, .pkl or .safetensors; a preset's folder for kerashub",
    )
    parser.add_argument("out", metavar="OUT.keras", help="the file to write")
    parser.add_argument(
        "--classes", metavar="CSV", help="class file, rows name,id (the names of COCO's classes)"
    )
    parser.add_argument("--backbone", metavar="NAME", help="the backbone (what the tensors say)")
    parser.add_argument(
        "--epsilon",
        type=float,
        metavar="E",
        help="torchvision: that of the batch norm (1e-5 where the file counts batches, else 0)",
    )
    parser.add_argument(
        "--config",
        metavar="INI",
        help="keras-retinanet: the anchors of a training file (the default ones)",
    )
    return parser.parse_args(args)


def check(args):
    """InputError, before any work, where the arguments cannot be."""
    if os.path.splitext(args.out)[1] != ".keras":
        raise InputError(f"{args.out}: expected FILE.keras")
    check_outputs({"OUT.keras": [args.out]}, filter(None, (args.file, args.classes, args.config)))
    if not os.path.exists(args.file):
        raise InputError(f"{args.file}: no such file")
    if args.source == "backbone" and args.classes:
        raise InputError("--classes: a bare backbone has no classes")


def run(args):
    check(args)
    class_names = None
    if args.classes:
        from ..preprocessing.readers.csv import read_classes

        ids = read_classes(args.classes)
        class_names = sorted(ids, key=ids.get)
    anchors, levels = read_config(args.config) if args.config else (None, None)
    start_backend()
    from ..callbacks.snapshots import save_whole

    backbone = args.backbone and chosen_backbone(args).backbone
    model = import_weights(args.source, args.file, class_names, backbone, args.epsilon, anchors)
    if levels and levels != model.pyramid_levels:
        raise InputError(
            f"{args.config}: expected the pyramid levels {model.pyramid_levels} of {args.file}. "
            f"Received: {levels}"
        )
    save_whole(model, args.out)
    print("\n".join(report(model, args)))


def report(model, args):
    """What came out of the file, and what to do with it, in lines."""
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
    yield f"{num_classes(model)} classes{names}"
    for line in getattr(model, "assumed", ()):
        yield f"assumed: {line}"
    yield f"wrote {args.out}"
    dataset = "coco FOLDER" if set(COCO_80) <= set(known or ()) else "DATASET"
    yield f"next: retinanet-evaluate --convert-model {dataset} {args.out}"


def main(args=None):
    with user_errors("retinanet-import-weights"):
        run(parse_args(sys.argv[1:] if args is None else args))


if __name__ == "__main__":
    main()
