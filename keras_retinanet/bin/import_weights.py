"""Takes over weights of another project: `retinanet-import-weights SOURCE FILE OUT.keras`."""

import argparse
import os
import sys

from ..errors import InputError
from ..utils.text import listed
from ..weights import SOURCES, import_weights
from .cli import check_file, num_classes, start_backend, user_errors


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
    return parser.parse_args(args)


def check(args):
    """InputError, before any work, where the arguments cannot be."""
    if os.path.splitext(args.out)[1] != ".keras":
        raise InputError(f"{args.out}: expected FILE.keras")
    for path in filter(None, (args.file, args.classes)):
        if os.path.realpath(path) == os.path.realpath(args.out):
            raise InputError(f"{args.out}: expected another file than {path}")
    if not os.path.exists(args.file):
        raise InputError(f"{args.file}: no such file")
    if args.source == "backbone" and args.classes:
        raise InputError("--classes: a bare backbone has no classes")
    check_file(args.out)


def run(args):
    check(args)
    class_names = None
    if args.classes:
        from ..preprocessing.readers.csv import read_classes

        ids = read_classes(args.classes)
        class_names = sorted(ids, key=ids.get)
    start_backend()
    from ..callbacks.snapshots import save_whole

    model = import_weights(args.source, args.file, class_names, args.backbone)
    save_whole(model, args.out)
    print("\n".join(described(model, args)))


def described(model, args):
    """What came out of the file, and what to do with it, in lines."""
    size = f"{model.count_params() / 1e6:.1f} million numbers"
    tensors = f"{len(model.weights)} tensors, {size}, each in its place"
    if args.source == "backbone":
        yield f"{args.file}: {model.name}, {tensors}"
        yield f"wrote {args.out}"
        yield f"next: retinanet-train --weights {args.out} ..."
        return
    names = listed(model.class_names, most=5) if model.class_names else "without names"
    yield f"{args.file}: {model.name} on {model.backbone_name}, {tensors}"
    yield f"{num_classes(model)} classes: {names}"
    yield f"wrote {args.out}"
    yield f"next: retinanet-evaluate --convert-model coco FOLDER {args.out}"


def main(args=None):
    with user_errors("retinanet-import-weights"):
        run(parse_args(sys.argv[1:] if args is None else args))


if __name__ == "__main__":
    main()
