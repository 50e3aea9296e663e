"""Files of detections. A writer is a context manager that yields a function to add detections."""

from __future__ import annotations

import contextlib
import csv
import json
import os
import queue
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TextIO

import numpy as np

from .detections import Detections
from .errors import InputError
from .sources import Frame, Names
from .typing import StrPath
from .utils.image import write_image_bgr
from .utils.outputs import replacing, write_text

Add = Callable[[Frame, Detections], None]
COLUMNS = ("image", "x1", "y1", "x2", "y2", "class", "score", "track")
WAITING = 8  # images that may wait to be written


@contextlib.contextmanager
def coco_json(path: StrPath) -> Iterator[Add]:
    """Write COCO's list of results, with the name of each image as `file_name`."""
    with replacing(path) as part, open(part, "w", encoding="utf-8") as file:
        separator = "["

        def add(frame: Frame, found: Detections) -> None:
            nonlocal separator
            for row, track in zip(found.to_coco(), tracks_of(found), strict=True):
                extra = {} if track is None else {"track_id": track}
                row = {**row, "file_name": frame.name, **extra}
                file.write(separator + json.dumps(row, ensure_ascii=False, allow_nan=False))
                separator = ",\n"

        yield add
        file.write("[]\n" if separator == "[" else "]\n")


@contextlib.contextmanager
def json_lines(path: StrPath) -> Iterator[Add]:
    """Write one JSON object for each image, to standard output if the path is "-"."""
    with contextlib.ExitStack() as stack:
        file: TextIO = sys.stdout
        if path != "-":
            part = stack.enter_context(replacing(path))
            file = stack.enter_context(open(part, "w", encoding="utf-8"))

        def add(frame: Frame, found: Detections) -> None:
            line = {"image": frame.name, "detections": list(map(dict, objects_of(found)))}
            print(json.dumps(line, ensure_ascii=False, allow_nan=False), file=file, flush=True)

        yield add


@contextlib.contextmanager
def csv_file(path: StrPath) -> Iterator[Add]:
    """Write a row for each object under a header, boxes in px."""
    with replacing(path) as part, open(part, "w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(COLUMNS)

        def add(frame: Frame, found: Detections) -> None:
            for each in objects_of(found):
                name, score, track = each["class"], each["score"], each.get("track", "")
                rows.writerow([frame.name, *each["box"], name, score, track])

        yield add


@contextlib.contextmanager
def yolo_folder(folder: StrPath) -> Iterator[Add]:
    """Write a text file for each image: rows of label, centre, sides (shares of 1), score."""
    os.makedirs(folder, exist_ok=True)

    def add(frame: Frame, found: Detections) -> None:
        height, width = found.image.shape[:2]
        boxes = found.boxes / np.array([width, height, width, height], "float32")
        lines = []
        for (x1, y1, x2, y2), score, label in zip(boxes, found.scores, found.labels, strict=True):
            values = (x1 + x2) / 2, (y1 + y2) / 2, x2 - x1, y2 - y1, score
            lines.append(" ".join([str(int(label)), *(f"{value:.6f}" for value in values)]) + "\n")
        write_text(os.path.join(folder, f"{frame.stem}.txt"), "".join(lines))

    yield add


@contextlib.contextmanager
def drawn(folder: StrPath) -> Iterator[Add]:
    """Write each image with its objects as PNG, and each video with them as MP4."""
    os.makedirs(folder, exist_ok=True)
    with contextlib.ExitStack() as stack:
        videos: dict[str, Add] = {}

        def add(frame: Frame, found: Detections) -> None:
            if frame.video is None:
                path = os.path.join(folder, f"{frame.stem}.png")
                write_image_bgr(path, np.asarray(found.plot())[..., ::-1])
                return
            if frame.video not in videos:
                path = os.path.join(folder, f"{frame.video}.mp4")
                videos[frame.video] = stack.enter_context(drawn_video(path))
            videos[frame.video](frame, found)

        yield add


@contextlib.contextmanager
def drawn_video(path: StrPath) -> Iterator[Add]:
    """Write the frames with their objects as one MP4 video of the first frame's size.

    Raises:
        InputError: if OpenCV cannot write it.
    """
    import cv2

    with contextlib.ExitStack() as stack:
        part = stack.enter_context(replacing(path))
        writer: Any = None
        size = (0, 0)

        def add(frame: Frame, found: Detections) -> None:
            nonlocal writer, size
            image = np.ascontiguousarray(np.asarray(found.plot())[..., ::-1])
            if writer is None:
                size = image.shape[1], image.shape[0]
                code = cv2.VideoWriter.fourcc(*"mp4v")
                writer = cv2.VideoWriter(str(part), code, frame.rate, size)
                stack.callback(writer.release)
                if not writer.isOpened():
                    raise InputError(f"{path} cannot be written: OpenCV has no MP4 encoder.")
            if image.shape[1::-1] != size:
                image = cv2.resize(image, size)
            writer.write(image)

        yield add
        if writer is None:
            raise InputError(f"{path}: there are no frames to write.")
        writer.release()


WRITERS: dict[str, Callable[[Any], contextlib.AbstractContextManager[Add]]] = {
    "json": coco_json,
    "jsonl": json_lines,
    "csv": csv_file,
    "yolo": yolo_folder,
    "output": drawn,
}


def objects_of(found: Detections) -> Iterator[dict]:
    """Yield {"box": [x1, y1, x2, y2], "score", "label", "class"} and perhaps "track" of objects."""
    rows = zip(found.boxes, found.scores, found.labels, found.names, tracks_of(found), strict=True)
    for box, score, label, name, track in rows:
        known = {
            "box": [round(float(value), 3) for value in box],
            "score": round(float(score), 6),
            "label": int(label),
            "class": name,
        }
        yield known if track is None else {**known, "track": track}


def tracks_of(found: Detections) -> list[int | None]:
    """Return the track of each object, None without tracking."""
    return [None] * len(found) if found.tracks is None else [int(each) for each in found.tracks]


def output_names(paths: Iterable[str]) -> list[str]:
    """Return the name of a PNG file for each image, numbered if names repeat."""
    names = Names()
    return [f"{names.stem(path)}.png" for path in paths]


@contextlib.contextmanager
def in_thread(adds: list[Add]) -> Iterator[Add]:
    """Yield a function that hands images to writers in a thread, and waits if it lags behind."""
    waiting: queue.Queue = queue.Queue(WAITING)
    errors: list[BaseException] = []

    def work() -> None:
        while (item := waiting.get()) is not None:
            try:
                if not errors:
                    for add in adds:
                        add(*item)
            except BaseException as error:  # raised again where images are handed over
                errors.append(error)

    thread = threading.Thread(target=work, name="write detections", daemon=True)
    thread.start()

    def hand_over(frame: Frame, found: Detections) -> None:
        if errors:
            raise errors[0]
        waiting.put((frame, found))

    try:
        yield hand_over
    finally:
        waiting.put(None)
        thread.join()
    if errors:
        raise errors[0]
