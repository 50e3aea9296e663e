"""Synthetic data to try the commands on: drawn toys on textured ground, as a CSV data set."""

from __future__ import annotations

import csv
import os
from pathlib import Path

import cv2
import numpy as np
from numpy import ndarray
from numpy.random import Generator
from PIL import Image

from .errors import InputError

EMPTY = 0.04  # share of images without objects
SMALLEST, LARGEST = 14, 200  # px, the longer side of an object
CONTRAST = 75  # of 255, between an object's colour and the pixels that it covers
COVERED = 0.25  # share of an object's pixels that later objects may cover
FINER = 4  # objects are drawn this much larger and reduced, which smooths their edges
COLOURS = np.stack(np.meshgrid(*[(50.0, 140.0, 230.0)] * 3), axis=-1).reshape(-1, 3)  # RGB


def write_synthetic(
    folder: str | os.PathLike, train: int = 800, val: int = 150, size: int = 256, seed: int = 0
) -> Path:
    """Write a synthetic data set of square images and return its folder.

    The folder receives `images/train/*.jpg`, `images/val/*.jpg`, `train.csv`, `val.csv` (rows
    `path,x1,y1,x2,y2,class`, or `path,,,,,` for an image without objects) and `classes.csv` (rows
    `name,id`). An image depends only on `(seed, split, index)`, so a larger data set begins with
    the images of a smaller one.

    Args:
        folder: created if missing.
        train, val: numbers of images.
        size: side of the images in px, at least 64.
        seed: at least 0.

    Raises:
        InputError: if `size` is below 64, or a count or the seed below 0.
    """
    if size < 64 or min(train, val, seed) < 0:
        raise InputError(
            "size must be 64 or more, and train, val and seed 0 or more, got "
            f"size={size}, train={train}, val={val}, seed={seed}."
        )
    tables: dict[str, list[tuple]] = {"train": [], "val": []}
    tables["classes"] = [(name, label) for label, name in enumerate(SHAPES)]
    for number, (split, count) in enumerate({"train": train, "val": val}.items()):
        images = Path(folder, "images", split)
        images.mkdir(parents=True, exist_ok=True)
        for index in range(count):
            image, objects = draw_image(np.random.default_rng([seed, number, index]), size)
            Image.fromarray(image).save(images / f"{index:05d}.jpg", quality=90)
            for name, box in objects or [("", ("",) * 4)]:
                tables[split].append((f"images/{split}/{index:05d}.jpg", *box, name))
    for name, rows in tables.items():
        with open(Path(folder, f"{name}.csv"), "w", newline="", encoding="utf-8") as file:
            csv.writer(file, lineterminator="\n").writerows(rows)
    return Path(folder)


def draw_image(rng: Generator, size: int) -> tuple[ndarray, list[tuple[str, tuple]]]:
    """Draw up to 11 objects on an image (size, size, 3) uint8 RGB.

    Returns:
        The image, and [(class name, (x1, y1, x2, y2))]. A box, in px, spans the pixels that its
        object covers by half or more, including pixels that later objects hide.
    """
    image = draw_ground(rng, size).astype("float32")
    visible = np.zeros((size, size), int)  # number of the object at each pixel, 0 for the ground
    spare = np.array([np.inf])  # pixels of each that may still be covered
    objects = []
    count = 0 if rng.random() < EMPTY else rng.integers(4, 12)
    sides = SMALLEST * (min(LARGEST, 0.75 * size) / SMALLEST) ** rng.uniform(0, 1, count) ** 1.25
    for side in np.sort(sides)[::-1]:  # large objects first, while there is room for them
        name = str(rng.choice(list(SHAPES)))
        alpha, light = render(rng, name, side)
        mask = alpha >= 0.5
        place = find_place(rng, image, visible, spare, mask)
        if place is None:
            continue
        window, colour = place
        rows, columns = window
        drop = 2 + int(side / 40)  # px, right and down from the object to its shadow
        shade = image[rows.start + drop :, columns.start + drop :][: len(mask), : mask.shape[1]]
        dark = 0.4 * cv2.blur(alpha, (3, 3))[: len(shade), : shade.shape[1]]
        shade *= 1 - dark[..., None]
        spare -= np.bincount(visible[window][mask], minlength=len(spare))
        spare = np.append(spare, COVERED * mask.sum())
        visible[window][mask] = len(spare) - 1
        ink = np.clip(colour + light[..., None], 0, 255)
        image[window] += alpha[..., None] * (ink - image[window])
        x, y, width, height = cv2.boundingRect(mask.astype("uint8"))
        x, y = x + columns.start, y + rows.start
        objects.append((name, (x, y, x + width, y + height)))
    noise = rng.uniform(1, 4) * rng.standard_normal((size, size, 1))
    return np.clip(image + noise, 0, 255).astype("uint8"), objects


def find_place(
    rng: Generator, image: ndarray, visible: ndarray, spare: ndarray, mask: ndarray
) -> tuple[tuple[slice, slice], ndarray] | None:
    """Return a window and a colour (3,) where an object stands out and covers little, or None."""
    for _ in range(20):
        y, x = (int(i) for i in rng.integers(0, np.array(visible.shape) - mask.shape + 1))
        window = slice(y, y + mask.shape[0]), slice(x, x + mask.shape[1])
        if np.all(np.bincount(visible[window][mask], minlength=len(spare)) <= spare):
            under = image[window][mask][:: 1 + mask.sum() // 64]  # (64 or fewer, 3)
            contrast = np.abs(under[:, None] - COLOURS).max(axis=-1)
            clear = (contrast >= CONTRAST).mean(axis=0) >= 0.9  # (colours,)
            if clear.any():
                return window, rng.choice(COLOURS[clear])
    return None


def render(rng: Generator, name: str, side: float) -> tuple[ndarray, ndarray]:
    """Draw an object of `side` px, with a margin of 1 px.

    Returns:
        The share of each pixel that it covers (h, w), and the light added to its colour (h, w),
        both float32.
    """
    shape, most = SHAPES[name]
    outlines, lights = zip(*shape(rng), strict=True)
    angle = np.radians(rng.uniform(-most, most))
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    low, extent = (outlines[0] @ turn).min(axis=0), np.ptp(outlines[0] @ turn, axis=0)
    scale = max(side / extent.max(), SMALLEST / extent.min())
    polygons = [(each @ turn - low) * scale + 1 for each in outlines]  # px
    polygons = [((FINER * each - 0.5) * 16).round().astype("int32") for each in polygons]
    width, height = (int(each) for each in np.ceil(extent * scale) + 2)
    alpha, light = np.zeros((2, FINER * height, FINER * width), "float32")
    cv2.fillPoly(alpha, polygons[:1], 1, shift=4)  # of 1/16 px
    for polygon, value in zip(polygons, lights, strict=True):
        cv2.fillPoly(light, [polygon], value, shift=4)
    cv2.polylines(light, polygons[:1], True, -60, FINER * max(1, int(side / 22)), shift=4)
    reduced = [cv2.resize(x, (width, height), interpolation=cv2.INTER_AREA) for x in (alpha, light)]
    return reduced[0], reduced[1]


def ring(count: int) -> ndarray:
    """Return points (count, 2) on a circle of radius 1, the first one on top."""
    angles = 2 * np.pi * np.arange(count) / count - np.pi / 2
    return np.stack([np.cos(angles), np.sin(angles)], axis=1)


def ball(rng: Generator) -> list:
    """Return the polygons of light and plain sectors that meet at a cap."""
    rim, centre = ring(48), rng.uniform(-0.35, 0.35, 2)
    sectors = [(np.vstack([centre, rim[i : i + 9]]), 45) for i in (0, 16, 32)]
    return [(rim, 0), *sectors, (centre + 0.16 * ring(24), 90)]


def crate(rng: Generator) -> list:
    """Return the polygons of four boards in a frame, with a brace across."""
    corners = np.array([(-1, -1), (1, -1), (1, 1), (-1, 1)])
    frame = np.array([1, rng.uniform(0.7, 1.2)])
    inner = frame - 0.22
    boards = [((corners * (0.21, 1) + (x, 0)) * inner, -8) for x in (-0.75, -0.25, 0.25, 0.75)]
    brace = np.array([(-1, -1), (-0.7, -1), (1, 1), (0.7, 1)]) * inner
    return [(corners * frame, 15), (corners * inner, -36), *boards, (brace, 26)]


def tent(rng: Generator) -> list:
    """Return the polygons of a triangle with a shaded side, two stripes and a dark door."""
    top = np.array([rng.uniform(-0.25, 0.25), -0.9])
    parts = {(-1, 1): 5, (0.45, 1): -31, (-0.85, -0.65): 46, (-0.15, 0.05): 46}
    faces = [(np.array([top, (a, 0.75), (b, 0.75)]), light) for (a, b), light in parts.items()]
    tip = 0.55 * top + 0.45 * np.array([-0.2, 0.75])
    return [*faces, (np.array([tip, (-0.5, 0.75), (0.1, 0.75)]), -76)]


def star(rng: Generator) -> list:
    """Return the polygons of five points, each light on one side."""
    rim = ring(10)
    rim[1::2] *= rng.uniform(0.45, 0.55)
    return [(rim, -10), *((np.array([(0, 0), rim[i - 1], rim[i]]), 36) for i in range(0, 10, 2))]


# class name: ([(polygon, light added to the colour)], the outline first; largest turn in degrees)
SHAPES = {"ball": (ball, 180), "crate": (crate, 20), "tent": (tent, 20), "star": (star, 180)}


def draw_ground(rng: Generator, size: int) -> ndarray:
    """Draw two related colours, mixed by noise and a pattern, under up to six bent strokes."""
    share = np.full((size, size), 0.5)
    for cells, weight in ((3, 0.2), (7, 0.12), (16, 0.08), (size // 5, 0.15), (size // 2, 0.16)):
        grid = rng.uniform(-weight, weight, (cells, cells))
        share += cv2.resize(grid, (size, size), interpolation=cv2.INTER_CUBIC)
    angle, step = rng.uniform(0, np.pi), rng.uniform(7, 15)  # px
    y, x = np.mgrid[:size, :size] / step
    along, across = x * np.cos(angle) + y * np.sin(angle), y * np.cos(angle) - x * np.sin(angle)
    patterns = (0, np.sin(along), np.sign(np.sin(along / 2) * np.sin(across / 2)))
    share += 0.2 * patterns[rng.integers(3)]
    dark = rng.uniform(30, 190) + rng.uniform(-25, 25, 3)
    image = dark + np.clip(share, 0, 1)[..., None] * rng.uniform(40, 75, 3)
    image = np.clip(image, 0, 255).astype("uint8")
    for _ in range(rng.integers(0, 7)):
        ends, bend = rng.uniform(0, size, (2, 2)), rng.normal(0, size / 5, 2)
        t = np.linspace(0, 1, 24)[:, None]
        curve = (1 - t) * ends[0] + t * ends[1] + 2 * t * (1 - t) * bend
        points, colour = [(16 * curve).astype("int32")], 0.6 * rng.choice(COLOURS) + 50
        thickness = int(rng.integers(1, 5))
        cv2.polylines(image, points, False, colour.tolist(), thickness, cv2.LINE_AA, shift=4)
    return image
