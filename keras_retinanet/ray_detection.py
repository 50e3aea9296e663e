"""Detect in a lake of images with Ray Data: JSON lines in a folder, each image exactly once.

A batch of images becomes one file, which is written completely or not at all and named after the
images. So a batch that Ray runs again replaces its file, and a run that was killed continues with
the images that no file names.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from .detection_files import objects_of
from .detector import Detector
from .errors import InputError
from .utils.outputs import make_folder, write_text

IMAGES = 64  # in a file


class Totals(NamedTuple):
    """The numbers of images that were read, of objects in them, and of unreadable images."""

    images: int = 0
    objects: int = 0
    broken: int = 0


class DetectBatch:
    """A worker that detects in batches of images and writes a file for each.

    Args:
        make_detector: called once, in the worker.
        folder: the folder of the files, shared by all machines.
    """

    def __init__(self, make_detector: Callable[[], Detector], folder: str) -> None:
        self.detector = make_detector()
        self.folder = folder

    def __call__(self, batch: dict[str, np.ndarray]) -> dict[str, list[int]]:
        """Detect in the images {"path": (B,)}, and return the `Totals` as columns of one row."""
        paths = [str(path) for path in batch["path"]]
        lines: list[dict] = [{"image": path, "error": "It cannot be read."} for path in paths]
        objects = broken = 0
        for index, found in detected(self.detector, paths):
            lines[index] = {"image": paths[index], "detections": list(objects_of(found))}
            objects += len(found)
        broken = sum("error" in line for line in lines)
        name = hashlib.sha256("\n".join(paths).encode("utf-8", "surrogateescape")).hexdigest()[:16]
        text = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
        write_text(Path(self.folder, f"part-{name}.jsonl"), text)
        return {"images": [len(paths) - broken], "objects": [objects], "broken": [broken]}


def detected(detector: Detector, paths: Sequence[str]) -> Iterator[tuple[int, Any]]:
    """Yield the index and the detections of each image that can be read."""
    try:
        for found in detector.stream(paths, on_error="skip"):
            yield found.index, found
    except InputError:
        if any(can_be_read(detector, path) for path in paths):  # another fault
            raise


def can_be_read(detector: Detector, path: str) -> bool:
    try:
        detector.prepare(path)
    except InputError:
        return False
    return True


def images_in(folder: str | os.PathLike) -> set[str]:
    """Return the images that the files in a folder name."""
    found: set[str] = set()
    for file in Path(folder).glob("part-*.jsonl"):
        with open(file, encoding="utf-8") as lines:
            found.update(json.loads(line)["image"] for line in lines)
    return found


def detect_with_ray(
    paths: Sequence[str],
    folder: str | os.PathLike,
    make_detector: Callable[[], Detector],
    address: str = "local",
) -> Totals:
    """Detect in images with all workers of a Ray cluster, and return the `Totals` of this run.

    Args:
        paths: the paths of the images, on storage that all machines share.
        folder: gets files of JSON lines, {"image", "detections"} or {"image", "error"}. Images that
            its files name are skipped.
        make_detector: called once in each worker.
        address: the address of the cluster, or "local" for a cluster on this machine.

    Raises:
        InputError: if Ray is not installed, or no cluster starts or answers at the address.
    """
    if importlib.util.find_spec("ray") is None:
        raise InputError("Detecting with Ray needs Ray: pip install 'keras-retinanet[ray]'.")
    import ray

    done = images_in(folder)
    rows = [{"path": os.path.abspath(path)} for path in paths]
    rows = [row for row in rows if row["path"] not in done]
    make_folder(folder)
    if not rows:
        return Totals()
    try:
        ray.init(address, log_to_driver=False, ignore_reinit_error=True)
    except (ConnectionError, RuntimeError, TimeoutError, ValueError) as error:
        raise InputError(f"No Ray cluster starts or answers at {address}: {error}") from None
    try:
        resources = ray.cluster_resources()
        kind = "num_gpus" if resources.get("GPU") else "num_cpus"
        share: dict[str, Any] = {kind: 1}  # of a worker
        workers = int(resources.get("GPU") or resources["CPU"])
        images = ray.data.from_items(rows, override_num_blocks=-(-len(rows) // IMAGES))
        results = images.map_batches(
            DetectBatch,
            fn_constructor_args=(make_detector, os.path.abspath(folder)),
            batch_size=IMAGES,
            concurrency=(1, workers),
            **share,
        )
        parts = [tuple(row.values()) for row in results.iter_rows()]
    finally:
        ray.shutdown()
    return Totals(*map(sum, zip(*parts, strict=True)))
