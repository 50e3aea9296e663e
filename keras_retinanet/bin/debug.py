"""Shows what training sees of a data set: `retinanet-debug [options] DATASET ...`."""

import argparse
import os
import sys

from ..errors import InputError
from ..utils.outputs import check_image_folders, recorded_inputs
from .choices import ASSIGNERS, choice_of
from .cli import (
    check_folder,
    check_numbers,
    check_output_options,
    check_sides,
    read_config,
    user_errors,
)
from .data_options import TRAIN_SETS, choose_set, parse_with_data, read_data
from .image_options import (
    add_augmentation_arguments,
    add_grouping_argument,
    add_size_arguments,
    augmentation_of,
)

GREEN, RED, GREY, YELLOW = (0, 200, 0), (0, 0, 230), (150, 150, 150), (0, 220, 240)  # BGR
SHEET = "contact_sheet.jpg"
NO_WINDOW = (
    "No window can be opened: pass --no-gui, or install the OpenCV that has windows: "
    "pip uninstall -y opencv-python-headless && pip install opencv-python"
)


def parse_args(args):
    parser = argparse.ArgumentParser(
        prog="retinanet-debug",
        usage="%(prog)s [options] DATASET ...",
        description="Show the pictures of a data set as training sees them. Boxes that anchors "
        "stand for are green, boxes without an anchor red, ignored boxes grey.",
        add_help=False,
    )
    parser.add_argument("--anchors", action="store_true", help="also draw these anchors (yellow)")
    parser.add_argument("--display-name", action="store_true", help="write the file's name too")
    parser.add_argument("--show-annotations", action="store_true", help=argparse.SUPPRESS)
    add_augmentation_arguments(parser, "none")
    add_size_arguments(parser)
    parser.add_argument("--config", metavar="FILE", help="INI file with anchors and pyramid levels")
    parser.add_argument(
        "--assigner", type=choice_of(ASSIGNERS), default={"name": "iou"}, help="iou or atss (iou)"
    )
    add_grouping_argument(parser, "none")
    parser.add_argument("--seed", type=int, default=0, help="of all that is random (%(default)s)")
    parser.add_argument(
        "--number", type=int, default=48, help="of pictures, with --no-gui (%(default)s)"
    )
    parser.add_argument("--no-gui", action="store_true", help="write files, open no window")
    parser.add_argument(
        "--output-dir", default="debug", metavar="DIR", help="with --no-gui (%(default)s)"
    )
    parser.add_argument(
        "--flatten-output", action="store_true", help="write all pictures into one folder"
    )
    args = check_numbers(parser, parse_with_data(parser, args, "evaluate"))
    check_sides(args.image_min_side, args.image_max_side)
    return args


def create_batches(args):
    """The batches of the data set as training makes them."""
    from ..preprocessing.batches import Batches
    from ..preprocessing.dataset import checked

    anchors, levels = read_config(args.config)
    dataset = read_data(args, choose_set(args, args.set, TRAIN_SETS))
    return Batches(
        checked(dataset, need_boxes=False),
        group_method=args.group_method,
        shuffle_groups=False,
        image_min_side=args.image_min_side,
        image_max_side=args.image_max_side,
        no_resize=args.no_resize,
        augmentation=augmentation_of(args),
        anchor_params=anchors,
        pyramid_levels=levels,
        assigner=args.assigner,
        seed=args.seed,
    )


def draw(batches, index, epoch, args):
    """(a picture with its boxes (H, W, 3) BGR, the number of boxes, of those without an anchor)."""
    import numpy as np

    from ..utils.visualization import draw_annotations, draw_boxes, draw_caption

    image, annotations = batches.sample(index, (batches.seed, epoch, index, 0))
    if not image.size:
        return None, 0, 0
    shape = batches.canvas(index)[::-1]
    [matches] = batches.compute_targets([image], [annotations], shape)["matches"]  # (N,)
    if args.anchors:
        draw_boxes(image, batches.generate_anchors(shape)[matches >= 0], YELLOW, 1)
    boxes, ignored = annotations["bboxes"], annotations["ignore"]
    reached = np.isin(np.arange(len(boxes)), matches)  # (n,)
    kinds = {GREY: ignored, GREEN: reached & ~ignored, RED: ~reached & ~ignored}
    for colour, chosen in kinds.items():
        rows = {"bboxes": boxes[chosen], "labels": annotations["labels"][chosen]}
        draw_annotations(image, rows, colour, batches.label_to_name)
    if args.display_name:
        draw_caption(image, (0, 0), os.path.basename(batches.image_path(index)))
    return image, int((~ignored).sum()), int(kinds[RED].sum())


def output_paths(batches, indices, flatten):
    """A path within the output folder for each picture, like its own from their common folder."""
    from .detect import output_names

    paths = [os.path.abspath(batches.image_path(index)) for index in indices]
    folder = os.path.commonpath([os.path.dirname(path) for path in paths])
    within = [os.path.relpath(os.path.dirname(path), folder) for path in paths]
    names = output_names(paths)
    if flatten:
        return names
    return [os.path.normpath(os.path.join(*pair)) for pair in zip(within, names, strict=True)]


def write(batches, indices, args, files):
    """Write the images and a contact sheet of them; the `files` that were read stay as they are."""
    from ..utils.image import write_image_bgr
    from ..utils.visualization import contact_sheet

    sheet = os.path.join(args.output_dir, SHEET)
    if os.path.isdir(args.output_dir) and os.listdir(args.output_dir) and not os.path.exists(sheet):
        raise InputError(
            f"{args.output_dir}: expected a new or empty folder, or one of {SHEET}, which is "
            "written anew"
        )
    paths = [
        os.path.join(args.output_dir, name)
        for name in output_paths(batches, indices, args.flatten_output)
    ]
    images = [batches.image_path(index) for index in range(batches.size())]
    folders = {os.path.dirname(path) for path in paths}
    check_output_options(args, inputs=[*files, *images], more={"--output-dir": [sheet, *paths]})
    check_image_folders("--output-dir", folders, images)
    for folder in {args.output_dir, *folders}:
        check_folder(folder)
    small, boxes, missed = [], 0, 0
    for index, path in zip(indices, paths, strict=True):
        image, count, without = draw(batches, index, 0, args)
        if image is None:
            continue
        boxes, missed = boxes + count, missed + without
        write_image_bgr(path, image)
        small.append(image)
    write_image_bgr(sheet, contact_sheet(small))
    print(f"{len(small)} pictures with {boxes} boxes, {missed} of them without an anchor")
    print(f"wrote {sheet} and the pictures beside it")


def show(batches, indices, args):
    """Shows the pictures in a window."""
    import cv2

    print("n: next, b: back, q: quit, other keys: the same picture after other random changes")
    at, epoch = 0, 0
    while True:
        image, *_ = draw(batches, indices[at % len(indices)], epoch, args)
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


def run(args):
    with recorded_inputs() as files:
        batches = create_batches(args)
    indices = [index for group in batches.groups_of(0) for index in group]
    if args.no_gui:
        write(batches, indices[: args.number], args, files)
    else:
        show(batches, indices, args)


def main(args=None):
    with user_errors("retinanet-debug"):
        run(parse_args(sys.argv[1:] if args is None else args))


if __name__ == "__main__":
    main()
