"""Show a data set as training sees it: `retinanet-debug [options] DATASET ...`."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ..errors import InputError
from ..options import COUNT, check_sides
from ..training.config import TrainConfig
from ..utils.outputs import all_or_none, check_image_folders, recorded_inputs
from ..utils.text import counted
from .arguments import SIZES, add_options, number
from .cli import check_folder, check_output_options, start_backend, user_errors
from .data_options import parse_with_data, source_of

if TYPE_CHECKING:
    import numpy as np

    from ..preprocessing.loader import Loader

AUGMENTATION = ("augmentation", "random_transform", "augment")
USUAL = {"augmentation": "none", "group_method": "none", "assigner": {"name": "iou"}}

GREEN, RED, GREY, YELLOW = (0, 200, 0), (0, 0, 230), (150, 150, 150), (0, 220, 240)  # BGR
SHEET = "contact_sheet.jpg"
NO_WINDOW = (
    "No window can be opened; pass --no-gui, or install OpenCV with support for windows: "
    "pip uninstall -y opencv-python-headless && pip install opencv-python"
)


def parse_args(args: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="retinanet-debug",
        usage="%(prog)s [options] DATASET ...",
        description="Show the images of a data set as training sees them. Boxes with an anchor are "
        "green, boxes without an anchor red, ignored boxes grey.",
        add_help=False,
    )
    parser.add_argument(
        "--anchors", action="store_true", help="also draw the matching anchors (yellow)"
    )
    parser.add_argument("--display-name", action="store_true", help="also draw the file name")
    parser.add_argument("--show-annotations", action="store_true", help=argparse.SUPPRESS)
    names = (*AUGMENTATION, *SIZES, "config", "assigner", "group_method", "seed")
    add_options(parser, names, USUAL)
    parser.add_argument(
        "--number",
        type=number(int, COUNT),
        default=48,
        help="number of images to write with --no-gui (%(default)s)",
    )
    parser.add_argument("--no-gui", action="store_true", help="write files, do not open a window")
    parser.add_argument(
        "--output-dir",
        default="debug",
        metavar="DIR",
        help="folder to write to with --no-gui (%(default)s)",
    )
    parser.add_argument(
        "--flatten-output", action="store_true", help="write all images into one folder"
    )
    return parse_with_data(parser, args, "evaluate")


def create_loader(args: argparse.Namespace) -> Loader:
    """Return the loader with which training would read the data set."""
    from ..choices import TRAIN_SPLITS
    from ..preprocessing.collate import Anchoring
    from ..preprocessing.dataset import checked
    from ..preprocessing.epochs import Batching
    from ..preprocessing.examples import Sizing
    from ..preprocessing.loader import Loader
    from ..utils.config import read_anchors

    check_sides(args.image_min_side, args.image_max_side)
    if len(args.assigner) > 1:
        from ..training.sanity import check_assigner

        check_assigner(args.assigner)
    augmentation = TrainConfig.of(**{name: getattr(args, name) for name in AUGMENTATION})
    anchors, levels = read_anchors(args.config)
    source = source_of(args)
    dataset = source.read(source.choose_split(args.split, TRAIN_SPLITS))
    return Loader(
        checked(dataset, need_boxes=False),
        Sizing(None if args.no_resize else args.image_min_side, args.image_max_side),
        Anchoring(anchors, levels, args.assigner),
        Batching(group_method=args.group_method, shuffle=False),
        augmentation.operations,
        seed=args.seed,
    )


def draw(
    loader: Loader, index: int, epoch: int, args: argparse.Namespace
) -> tuple[np.ndarray | None, int, int]:
    """Draw the boxes of an image.

    Returns:
        The image (H, W, 3) BGR, or None if it cannot be read; its number of boxes that are not
        ignored; the number of these that no anchor matches.
    """
    import numpy as np

    from ..utils.visualization import draw_annotations, draw_boxes, draw_caption

    image, annotations = loader.example(index, (loader.seed, epoch, index, 0))
    if not image.size:
        return None, 0, 0
    shape = loader.bucket_of(index)[::-1]
    matches = loader.anchoring.match(shape, annotations, image.shape[1::-1])  # (N,)
    if args.anchors:
        draw_boxes(image, loader.anchoring.grid(shape).anchors[matches >= 0], YELLOW, 1)
    boxes, ignored = annotations["bboxes"], annotations["ignore"]
    reached = np.isin(np.arange(len(boxes)), matches)  # (n,)
    kinds = {GREY: ignored, GREEN: reached & ~ignored, RED: ~reached & ~ignored}
    names = loader.dataset.class_names
    for colour, chosen in kinds.items():
        rows = {"bboxes": boxes[chosen], "labels": annotations["labels"][chosen]}
        draw_annotations(image, rows, colour, names.__getitem__)
    if args.display_name:
        draw_caption(image, (0, 0), os.path.basename(loader.dataset.records[index].path))
    return image, int((~ignored).sum()), int(kinds[RED].sum())


def output_paths(images: Sequence[str], flatten: bool) -> list[str]:
    """Return an output path for each image, relative to the images' common folder."""
    from ..detection_files import output_names

    paths = [os.path.abspath(path) for path in images]
    folder = os.path.commonpath([os.path.dirname(path) for path in paths])
    within = [os.path.relpath(os.path.dirname(path), folder) for path in paths]
    names = output_names(paths)
    if flatten:
        return names
    return [os.path.normpath(os.path.join(*pair)) for pair in zip(within, names, strict=True)]


def write(
    loader: Loader,
    indices: Sequence[int],
    args: argparse.Namespace,
    files: Sequence[str | os.PathLike],
) -> None:
    """Write the images and a contact sheet, without replacing one of the `files` that were read."""
    from ..utils.image import write_image_bgr
    from ..utils.visualization import contact_sheet

    sheet = os.path.join(args.output_dir, SHEET)
    if os.path.isdir(args.output_dir) and os.listdir(args.output_dir) and not os.path.exists(sheet):
        raise InputError(
            f"{args.output_dir} is not empty and has no {SHEET} of an earlier run; choose a new "
            "folder."
        )
    images = [record.path for record in loader.dataset.records]
    names = output_paths([images[index] for index in indices], args.flatten_output)
    paths = [os.path.join(args.output_dir, name) for name in names]
    folders = {os.path.dirname(path) for path in paths}
    check_output_options(args, inputs=[*files, *images], more={"--output-dir": [sheet, *paths]})
    check_image_folders("--output-dir", folders, images)
    for folder in {args.output_dir, *folders}:
        check_folder(folder)
    small, boxes, missed = [], 0, 0
    with all_or_none():
        for index, path in zip(indices, paths, strict=True):
            image, count, without = draw(loader, index, 0, args)
            if image is None:
                continue
            boxes, missed = boxes + count, missed + without
            write_image_bgr(path, image)
            small.append(image)
        write_image_bgr(sheet, contact_sheet(small))
    shown = f"{counted(len(small), 'image')} with {counted(boxes, 'box')}"
    print(f"{shown}, {missed} of them without an anchor")
    print(f"wrote {sheet} and the images beside it")


def show(loader: Loader, indices: Sequence[int], args: argparse.Namespace) -> None:
    """Show the images in a window."""
    import cv2

    print("n: next, b: back, q: quit, other keys: the same image with new random changes")
    at, epoch = 0, 0
    while True:
        image, *_ = draw(loader, indices[at % len(indices)], epoch, args)
        try:
            if image is not None:
                cv2.imshow("retinanet-debug", image)
            key = chr(cv2.waitKey(0) & 0xFF)
        except cv2.error:
            raise InputError(NO_WINDOW) from None
        if key in "q\x1b":
            return
        at += {"n": 1, "b": -1}.get(key, 0)
        epoch += 1


def run(args: argparse.Namespace) -> None:
    if len(args.assigner) > 1:  # has arguments
        start_backend()
        from ..training.sanity import check_assigner

        check_assigner(args.assigner)
    with recorded_inputs() as files:
        loader = create_loader(args)
    indices = [index for group in loader.groups_of(0) for index in group]
    if args.no_gui:
        write(loader, indices[: args.number], args, files)
    else:
        show(loader, indices, args)


def main(args: Sequence[str] | None = None) -> None:
    with user_errors("retinanet-debug"):
        run(parse_args(sys.argv[1:] if args is None else args))


if __name__ == "__main__":
    main()
