"""Sources of images: files, folders, globs, videos, cameras, streams, standard input.

Imports nothing heavy, so that `--help` answers at once.
"""

from __future__ import annotations

import glob
import itertools
import os
import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from .errors import InputError
from .utils.text import check_regular

VIDEO_SUFFIXES = (".mp4", ".avi", ".mov", ".mkv", ".webm", ".m4v", ".mpg", ".mpeg")
CAMERA = re.compile(r"camera:([0-9]{1,3})")
STREAM = re.compile(r"(rtsp|rtsps|rtmp|http|https|udp|tcp)://\S+")
STDIN = "-"
AHEAD = 8  # frames of a video that are read ahead
FRAMES_PER_SECOND = 25.0  # of a stream that does not say


@dataclass(frozen=True)
class Frame:
    """One image of a source.

    Attributes:
        name: the name of the image file, or of the video with the frame's number.
        stem: the stem of files made from it, used by no other frame.
        image: a path, bytes, or an array (H, W, 3) uint8 RGB, for `Detector`.
        video: the stem of its video, camera or stream; None for an image.
        rate: frames per second of the video.
    """

    name: str
    stem: str
    image: Any
    video: str | None = None
    rate: float = FRAMES_PER_SECOND


def is_video(source: str) -> bool:
    """Return True for a video file, a camera or a stream."""
    return bool(
        CAMERA.fullmatch(source)
        or STREAM.fullmatch(source)
        or (source.lower().endswith(VIDEO_SUFFIXES) and not os.path.isdir(source))
    )


def find_images(sources: Sequence[str]) -> list[str]:
    """Return the image files that paths, folders and globs name, in order, each once.

    Raises:
        InputError: if a source names no images.
    """
    from .preprocessing.readers.files import IMAGE_SUFFIXES, names_in

    paths = []
    for source in sources:
        if os.path.isdir(source):
            found = [os.path.join(source, name) for name in names_in(source, IMAGE_SUFFIXES)]
        else:
            found = (
                [source] if os.path.exists(source) else sorted(glob.glob(source, recursive=True))
            )
        if not found:
            raise InputError(
                f"{source} has no images; name an image, a folder, a glob, a video, camera:0, a "
                "stream's URL, or - for standard input."
            )
        paths.extend(found)
    return list(dict.fromkeys(paths))


class Names:
    """File names without suffix, each given once: numbered if they repeat."""

    def __init__(self) -> None:
        self.taken: set[str] = set()

    def stem(self, source: str) -> str:
        """Return an unused stem for the files of an image, a video, a camera or a stream."""
        name = os.path.splitext(os.path.basename(source))[0].replace(":", "_") or "video"
        stem, count = name, 2
        while stem in self.taken:
            stem, count = f"{name}_{count}", count + 1
        self.taken.add(stem)
        return stem


def frames_of(paths: Sequence[str], videos: Sequence[str], piped: bool = False) -> Iterator[Frame]:
    """Yield the images `paths`, then one from standard input if `piped`, then those of videos."""
    names = Names()
    stems = [names.stem(path) for path in (*paths, *videos)]
    for path, stem in zip(paths, stems, strict=False):
        yield Frame(path, stem, path)
    if piped:
        yield Frame("stdin", names.stem("stdin"), read_stdin())
    for video, stem in zip(videos, stems[len(paths) :], strict=True):
        yield from read_ahead(read_video(video, stem))


def read_ahead(frames: Iterator[Frame]) -> Iterator[Frame]:
    """Yield frames that a thread reads ahead while the detector works on earlier frames."""
    from .utils.threads import prefetch

    for frame in prefetch(lambda _: next(frames, None), itertools.count(), 1, AHEAD):
        if frame is None:
            return
        yield frame


def read_stdin() -> bytes:
    """Return the encoded image on standard input. Raises InputError if there is nothing."""
    data = sys.stdin.buffer.read()
    if not data:
        raise InputError("There is no image on standard input.")
    return data


def read_video(source: str, stem: str) -> Iterator[Frame]:
    """Yield the frames of a video file, a camera (camera:0) or a stream's URL.

    Args:
        stem: of files made from the video.

    Raises:
        InputError: it cannot be opened, or has no frames.
    """
    camera = CAMERA.fullmatch(source)
    if not (camera or STREAM.fullmatch(source)):
        check_regular(source)
    os.environ.setdefault("OPENCV_LOG_LEVEL", "OFF")
    import cv2

    capture = cv2.VideoCapture(int(camera[1]) if camera else source)
    name = os.path.basename(source) or source
    try:
        rate = capture.get(cv2.CAP_PROP_FPS)
        rate = rate if 0 < rate < 1000 else FRAMES_PER_SECOND  # a camera may give none or NaN
        number = 0
        while True:
            there, image = capture.read()
            if not there:
                break
            number += 1
            numbered = f"{stem}_{number:06d}"
            yield Frame(f"{name}#{number}", numbered, image[..., ::-1], stem, rate)
    finally:
        capture.release()
    if not number:
        raise InputError(f"{source}: no frames can be read from it.")
