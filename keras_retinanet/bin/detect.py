"""Detect objects in images: `retinanet-detect MODEL SOURCE... --output DIR`."""

from __future__ import annotations

import argparse
import glob
import os
import sys
from collections.abc import Sequence

from ..errors import InputError
from ..utils.outputs import check_image_folders
from .arguments import add_detector_options, detector_of
from .cli import check_folder, check_output_options, choose_gpu, user_errors


def parse_args(args: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="retinanet-detect",
        usage="%(prog)s [options] MODEL SOURCE...",
        description="Detect objects in image files, folders of them and globs.",
    )
    parser.add_argument("model", metavar="MODEL", help="a .keras file")
    parser.add_argument("sources", metavar="SOURCE", nargs="+", help="image file, folder or glob")
    parser.add_argument("--output", metavar="DIR", help="write the annotated images there")
    parser.add_argument("--json", metavar="FILE", help="write the detections as COCO results")
    add_detector_options(parser, 0.5)
    if not args:
        parser.error(
            f"required: MODEL, SOURCE. For example:\n  {parser.prog} "
            f"detector.keras images/ --output detections\n{parser.prog} --help lists the options."
        )
    parsed = parser.parse_args(args)
    if not (parsed.output or parsed.json):
        parser.error("give --output DIR, --json FILE, or both.")
    return parsed


def find_images(sources: Sequence[str]) -> list[str]:
    """Return the image files that the sources name, in order, each once."""
    from ..preprocessing.readers.files import IMAGE_SUFFIXES, names_in

    paths = []
    for source in sources:
        if os.path.isdir(source):
            found = [os.path.join(source, name) for name in names_in(source, IMAGE_SUFFIXES)]
        else:
            found = (
                [source] if os.path.exists(source) else sorted(glob.glob(source, recursive=True))
            )
        if not found:
            raise InputError(f"{source} has no images; name an image, a folder or a glob.")
        paths.extend(found)
    return list(dict.fromkeys(paths))


def output_names(paths: Sequence[str]) -> list[str]:
    """Return a file name for each image, numbered if names repeat."""
    names: dict[str, None] = {}
    for path in paths:
        stem = os.path.splitext(os.path.basename(path))[0]
        name, number = stem, 2
        while f"{name}.png" in names:
            name, number = f"{stem}_{number}", number + 1
        names[f"{name}.png"] = None
    return list(names)


def check_images_are_spared(args: argparse.Namespace, paths: Sequence[str]) -> None:
    """Check that no output replaces one of the images `paths` or the model."""
    saved = {}
    if args.output:
        check_image_folders("--output", [args.output], paths)
        saved["--output"] = [os.path.join(args.output, name) for name in output_names(paths)]
    check_output_options(args, "json", inputs=paths, more=saved)
    if args.output:
        check_folder(args.output)


def run(args: argparse.Namespace) -> None:
    choose_gpu(args.gpu)
    paths = find_images(args.sources)
    check_images_are_spared(args, paths)
    detector = detector_of(args)
    names = output_names(paths)

    import numpy as np
    from tqdm import tqdm

    from ..evaluation.report import write_json
    from ..utils.image import write_image_bgr

    rows, count, images = [], 0, 0
    stream = detector.stream(paths, on_error="raise" if args.strict else "skip")
    for found in tqdm(stream, desc="detect", total=len(paths), unit="image", mininterval=1):
        if args.output:
            drawn = np.asarray(found.plot())[..., ::-1]
            write_image_bgr(os.path.join(args.output, names[found.index]), drawn)
        rows += [{**row, "file_name": found.path} for row in found.to_coco()]
        count, images = count + len(found), images + 1
    if args.json:
        write_json(args.json, rows, indent=None)
    seconds = detector.seconds_per_image
    time = f", {seconds:.3f} s an image in the model" if seconds else ""
    print(f"{count} objects in {images} images{time}")
    for written in filter(None, (args.output, args.json)):
        print(f"saved {written}")


def main(args: Sequence[str] | None = None) -> None:
    with user_errors("retinanet-detect"):
        run(parse_args(sys.argv[1:] if args is None else args))


if __name__ == "__main__":
    main()
