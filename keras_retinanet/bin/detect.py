"""Detects objects in pictures: `retinanet-detect MODEL SOURCE... --output DIR`."""

import argparse
import glob
import os
import sys

from ..errors import InputError
from ..utils.outputs import check_image_folders
from .cli import (
    check_folder,
    check_numbers,
    check_output_options,
    choose_gpu,
    load_inference_model,
    user_errors,
)
from .image_options import add_size_arguments, size_options
from .nms_options import add_nms_arguments, check_nms, nms_options


def parse_args(args):
    parser = argparse.ArgumentParser(
        prog="retinanet-detect",
        usage="%(prog)s [options] MODEL SOURCE...",
        description="Detect objects in image files, folders of them and globs.",
    )
    parser.add_argument("model", metavar="MODEL", help="an inference model, a .keras file")
    parser.add_argument("sources", metavar="SOURCE", nargs="+", help="image file, folder or glob")
    parser.add_argument("--output", metavar="DIR", help="write the annotated pictures there")
    parser.add_argument("--json", metavar="FILE", help="write the detections as COCO results")
    parser.add_argument(
        "--score-threshold",
        type=float,
        default=0.5,
        help="of what is drawn and written (%(default)s)",
    )
    parser.add_argument("--max-detections", type=int, default=100, help="(%(default)s)")
    parser.add_argument("--batch-size", type=int, default=1, help="(%(default)s)")
    add_size_arguments(parser, None, None)
    parser.add_argument("--convert-model", action="store_true", help="MODEL is a training model")
    add_nms_arguments(parser, "with --convert-model: ")
    parser.add_argument("--gpu", help="the device to use, such as 0")
    parser.add_argument(
        "--strict",
        action="store_true",
        help="stop at images that cannot be read instead of leaving them out",
    )
    args = check_numbers(parser, parser.parse_args(args))
    if not (args.output or args.json):
        parser.error("expected --output DIR, --json FILE, or both")
    return args


def find_images(sources):
    """The image files that the sources name, in order, each once."""
    from ..preprocessing.readers.files import PICTURES

    paths = []
    for source in sources:
        if os.path.isdir(source):
            inside = sorted(os.path.join(source, name) for name in os.listdir(source))
            found = [path for path in inside if path.lower().endswith(PICTURES)]
        else:
            found = (
                [source] if os.path.exists(source) else sorted(glob.glob(source, recursive=True))
            )
        if not found:
            raise InputError(f"{source}: expected an image, a folder of images or a glob of them")
        paths.extend(found)
    return list(dict.fromkeys(paths))


def output_names(paths):
    """A file name for each picture, like its own, numbered where names repeat."""
    names, taken = [], set()
    for path in paths:
        stem = os.path.splitext(os.path.basename(path))[0]
        name = next(n for n in _numbered(stem) if n not in taken)
        taken.add(name)
        names.append(f"{name}.png")
    return names


def _numbered(stem):
    yield stem
    number = 2
    while True:
        yield f"{stem}_{number}"
        number += 1


def check_images_are_spared(args, paths):
    """Check that no output replaces one of the images `paths` or the model."""
    saved = {}
    if args.output:
        check_image_folders("--output", [args.output], paths)
        saved["--output"] = [os.path.join(args.output, name) for name in output_names(paths)]
    check_output_options(args, "json", inputs=paths, more=saved)
    if args.output:
        check_folder(args.output)


def save_pictures(dataset, detections, folder, class_names):
    """Writes the pictures with their detections."""
    from ..utils.image import read_image_bgr, write_image_bgr
    from ..utils.visualization import draw_detections

    def label_to_name(label):
        return class_names[label] if class_names else str(label)

    paths = [record.path for record in dataset.records]
    for path, name, found in zip(paths, output_names(paths), detections, strict=True):
        image = read_image_bgr(path)
        draw_detections(image, **found, score_threshold=0.0, label_to_name=label_to_name)
        write_image_bgr(os.path.join(folder, name), image)


def run(args):
    choose_gpu(args.gpu)
    from ..preprocessing.dataset import Dataset, checked, default_category_ids, make_record

    paths = find_images(args.sources)
    check_images_are_spared(args, paths)
    records = [make_record(path, i) for i, path in enumerate(paths, start=1)]
    dataset = checked(Dataset(records, [], []), args.strict, need_boxes=False)
    options = {"score_threshold": args.score_threshold, "max_detections": args.max_detections}
    options |= nms_options(args)
    model = load_inference_model(args.model, convert=args.convert_model, **options)
    check_nms(args.model, model, args)

    from ..evaluation.coco import results
    from ..evaluation.detections import detect, input_options, readable
    from ..evaluation.report import write_json
    from ..preprocessing.generator import Generator

    generator = Generator(
        dataset,
        batch_size=args.batch_size,
        group_method="canvas",
        shuffle_groups=False,
        strict=args.strict,
        **{**input_options(model), **size_options(args, model)},
    )
    detections, seconds = detect(model, generator, args.score_threshold, args.max_detections)
    dataset, detections = readable(generator, dataset, detections)
    names = model.class_names
    if args.output:
        save_pictures(dataset, detections, args.output, names)
    if args.json:
        ids = default_category_ids(names or range(max_label(detections) + 1))
        rows = results(Dataset(dataset.records, names, ids), detections)
        files = {record.image_id: record.path for record in dataset.records}
        rows = [{**row, "file_name": files[row["image_id"]]} for row in rows]
        write_json(args.json, rows, indent=None)
    count = sum(len(found["scores"]) for found in detections)
    time = f", {seconds:.3f} s an image in the model" if seconds else ""
    print(f"{count} objects in {len(detections)} images{time}")


def max_label(detections):
    return max((int(label) for found in detections for label in found["labels"]), default=0)


def main(args=None):
    with user_errors("retinanet-detect"):
        run(parse_args(sys.argv[1:] if args is None else args))


if __name__ == "__main__":
    main()
