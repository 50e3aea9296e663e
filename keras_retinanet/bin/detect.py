"""Detect objects in images and videos: `retinanet-detect MODEL SOURCE... --output DIR`."""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
from collections import deque
from collections.abc import Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from ..sources import STDIN, Frame, Names, find_images, frames_of, is_video
from ..utils.outputs import check_image_folders
from .arguments import add_detector_options, detector_of
from .cli import check_folder, check_output_options, choose_gpu, user_errors

if TYPE_CHECKING:
    from ..detection_files import Add
    from ..detections import Detections

FILES = ("json", "jsonl", "csv")
FOLDERS = ("output", "yolo")


def parse_args(args: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="retinanet-detect",
        usage="%(prog)s [options] MODEL SOURCE...",
        description="Detect objects in images and videos.",
    )
    parser.add_argument(
        "model",
        metavar="MODEL",
        help=".keras, .onnx, .xml or .tflite file, or a SavedModel's folder",
    )
    parser.add_argument(
        "sources",
        metavar="SOURCE",
        nargs="+",
        help="image, folder, glob, video, camera:0, URL of a stream, or - for an image on standard "
        "input",
    )
    outputs = parser.add_argument_group("results")
    outputs.add_argument("--output", metavar="DIR", help="write annotated images and videos there")
    outputs.add_argument("--json", metavar="FILE", help="write the detections as COCO results")
    outputs.add_argument(
        "--jsonl", metavar="FILE", help="write a JSON object for each image; - is standard output"
    )
    outputs.add_argument("--csv", metavar="FILE", help="write a row for each object")
    outputs.add_argument(
        "--yolo", metavar="DIR", help="write a YOLO text file for each image there"
    )
    outputs.add_argument(
        "--track", action="store_true", help="number the objects across the frames (ByteTrack)"
    )
    outputs.add_argument(
        "--ray",
        metavar="ADDRESS",
        help="share the images among the workers of a Ray cluster (an address, auto or local); "
        "--jsonl is then a folder, and images that it already has are skipped",
    )
    add_detector_options(parser, None, "--classes")
    if not args:
        parser.error(
            f"required: MODEL, SOURCE. For example:\n  {parser.prog} "
            f"detector.keras images/ --output detections\n{parser.prog} --help lists the options."
        )
    parsed = parser.parse_args(args)
    if not any(getattr(parsed, name) for name in (*FILES, *FOLDERS)):
        parser.error("give --output DIR, --json FILE, --jsonl FILE, --csv FILE, or --yolo DIR.")
    if parsed.ray:
        check_for_ray(parser, parsed)
    return parsed


def check_for_ray(parser: argparse.ArgumentParser, args: argparse.Namespace) -> None:
    """Refuse sources and outputs that workers cannot share."""
    others = [f"--{name}" for name in (*FILES, *FOLDERS, "track") if getattr(args, name)]
    if others != ["--jsonl"] or args.jsonl == "-":
        parser.error("--ray writes JSON lines only; give --jsonl DIR and no other output.")
    for source in args.sources:
        if source == STDIN or is_video(source):
            parser.error(f"--ray takes images only; remove {source}.")


def check_images_are_spared(
    args: argparse.Namespace, paths: Sequence[str], videos: Sequence[str]
) -> None:
    """Check that no output replaces the model, an image, a video, or another output."""
    names = Names()
    stems = [names.stem(source) for source in (*paths, *videos)]
    inputs, count = [*paths, *filter(os.path.isfile, videos)], len(paths)
    suffixes = [".png"] * count + [".mp4"] * len(videos)
    files = {
        "output": [stem + suffix for stem, suffix in zip(stems, suffixes, strict=True)],
        "yolo": [f"{stem}.txt" for stem in stems[:count]],
    }
    saved = {}
    for name in FOLDERS:
        if folder := getattr(args, name):
            check_image_folders(f"--{name}", [folder], inputs)
            saved[f"--{name}"] = [os.path.join(folder, file) for file in files[name]]
    written = [name for name in FILES if getattr(args, name) != "-"]
    check_output_options(args, *written, inputs=inputs, more=saved)
    for name in FOLDERS:
        if getattr(args, name):
            check_folder(getattr(args, name))


def run(args: argparse.Namespace) -> None:
    choose_gpu(args.gpu)
    if args.ray:
        run_with_ray(args)
        return
    videos = [source for source in args.sources if is_video(source)]
    rest = [source for source in args.sources if source not in videos and source != STDIN]
    paths = find_images(rest)
    check_images_are_spared(args, paths, videos)
    detector = detector_of(args)
    frames = frames_of(paths, videos, STDIN in args.sources)
    total = None if videos else len(paths) + (STDIN in args.sources)
    count, images = detect(args, detector, frames, total)
    seconds = detector.seconds_per_image
    time = f", {seconds:.3f} s an image in the model" if seconds else ""
    lower = "" if count else "; try a lower --score-threshold"
    out = sys.stderr if args.jsonl == "-" else sys.stdout
    print(f"{count} objects in {images} images{time}{lower}", file=out)
    for written in (getattr(args, name) for name in (*FOLDERS, *FILES)):
        if written and written != "-":
            print(f"saved {written}", file=out)


def run_with_ray(args: argparse.Namespace) -> None:
    """Detect in images with the workers of a Ray cluster."""
    from ..ray_detection import detect_with_ray

    paths = find_images(args.sources)
    check_image_folders("--jsonl", [args.jsonl], paths)
    check_folder(args.jsonl)
    args.threads = args.threads or 1  # a worker has one processor
    totals = detect_with_ray(paths, args.jsonl, partial(detector_of, args), args.ray)
    earlier = len(paths) - totals.images - totals.broken
    print(f"{totals.objects} objects in {totals.images} images")
    if totals.broken:
        print(f"{totals.broken} images could not be read")
    if earlier:
        print(f"skipped {earlier} images that an earlier run has done")
    print(f"saved {args.jsonl}")


def detect(
    args: argparse.Namespace, detector: Any, frames: Iterator[Frame], total: int | None
) -> tuple[int, int]:
    """Detect in all frames and write the results, and return the numbers of objects and images."""
    from tqdm import tqdm

    from ..detection_files import WRITERS, in_thread

    asked = {name: getattr(args, name) for name in WRITERS if getattr(args, name)}
    known: deque[tuple[int, Frame]] = deque()  # frames that the detector has taken

    def images() -> Iterator[Any]:
        for index, frame in enumerate(frames):
            known.append((index, frame))
            yield frame.image

    count = done = 0
    with contextlib.ExitStack() as stack:
        adds = [stack.enter_context(WRITERS[name](path)) for name, path in asked.items()]
        add: Add = stack.enter_context(in_thread(adds))
        stream = detector.stream(images(), on_error="raise" if args.strict else "skip")
        if args.track:
            stream = tracked(stream)
        for found in tqdm(stream, desc="detect", total=total, unit="image", mininterval=1):
            while known[0][0] < found.index:  # an image that cannot be read
                known.popleft()
            add(known.popleft()[1], found)
            count, done = count + len(found), done + 1
    return count, done


def tracked(stream: Iterator[Detections]) -> Iterator[Detections]:
    """Yield detections with the tracks of their objects."""
    from ..tracking import tracked

    return tracked(stream)


def main(args: Sequence[str] | None = None) -> None:
    with user_errors("retinanet-detect"):
        run(parse_args(sys.argv[1:] if args is None else args))


if __name__ == "__main__":
    main()
