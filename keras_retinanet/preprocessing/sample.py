"""A drawn data set to try the commands on: toys on tables, floors and lawns, in the CSV format."""

import csv
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from keras_retinanet.errors import InputError

SMALLEST, LARGEST = 14, 200  # px, the longer side of an object
CONTRAST = 90  # of 255, between an object's colour and nearly all of what lies under it
COVERED = 0.25  # of an object's pixels, at most, hidden by those drawn after it
EMPTY = 0.04  # of the images
FINER = 4  # shapes are drawn this much larger and then reduced, which smooths their edges
SPLITS = {"train": 0, "val": 1}  # part of the seed: the two share no picture

COLOURS = np.array(
    [
        (214, 48, 49),
        (240, 132, 26),
        (250, 208, 44),
        (58, 172, 74),
        (20, 160, 160),
        (38, 110, 214),
        (116, 72, 190),
        (222, 84, 158),
        (232, 230, 220),
        (52, 56, 66),
    ],
    "float32",
)


def write_sample(folder, train=800, val=150, size=256, seed=0):
    """Draw the sample data set and return its folder.

    Writes `images/train/*.jpg`, `images/val/*.jpg`, `train.csv`, `val.csv` (rows
    `path,x1,y1,x2,y2,class`, or `path,,,,,` for an image without objects) and `classes.csv` (rows
    `name,id`). An image depends on `(seed, split, index)` alone, so a larger set begins with the
    smaller one.

    Args:
        folder: where to write; made when missing.
        train, val: numbers of images.
        size: side of the square images in px, at least 64.
        seed: integer >= 0.

    Raises:
        InputError: for a size below 64 or a negative count or seed.
    """
    if size < 64 or min(train, val, seed) < 0:
        raise InputError(
            "Expected size >= 64 and train, val and seed >= 0. "
            f"Received: size={size}, train={train}, val={val}, seed={seed}"
        )
    folder = Path(folder)
    names = list(SHAPES)
    for split, count in {"train": train, "val": val}.items():
        (folder / "images" / split).mkdir(parents=True, exist_ok=True)
        rows = []
        for index in range(count):
            path = f"images/{split}/{index:05d}.jpg"
            rng = np.random.default_rng([seed, SPLITS[split], index])
            image, boxes, labels = draw_sample(rng, size)
            Image.fromarray(image).save(folder / path, quality=90)
            rows += [(path, *box, names[label]) for box, label in zip(boxes, labels, strict=True)]
            if not len(boxes):
                rows.append((path, "", "", "", "", ""))
        write_rows(folder / f"{split}.csv", rows)
    write_rows(folder / "classes.csv", [(name, i) for i, name in enumerate(names)])
    return folder


def write_rows(path, rows):
    with open(path, "w", newline="", encoding="utf-8") as file:
        csv.writer(file, lineterminator="\n").writerows(rows)


def draw_sample(rng, size=256):
    """One picture: `(image (size, size, 3) uint8 RGB, boxes (n, 4) int xyxy px, labels (n,) int)`.

    A box spans the pixels that its object covers by half or more, hidden ones included.
    """
    canvas = scribble(rng, BACKGROUNDS[rng.integers(len(BACKGROUNDS))](rng, size))
    count = 0 if rng.random() < EMPTY else rng.integers(4, 12)
    largest = min(LARGEST, 0.75 * size)
    sides = SMALLEST * (largest / SMALLEST) ** rng.uniform(0, 1, count) ** 1.25
    owner = np.full((size, size), -1)  # the object seen at each pixel
    areas, boxes, labels = [], [], []
    for side in sorted(sides, reverse=True):  # small ones last, so that large ones still fit
        label = rng.integers(len(SHAPES))
        alpha, tone = render(*list(SHAPES.values())[label], side, rng)
        spot = find_spot(rng, canvas, owner, areas, alpha)
        if spot is None:
            continue
        x, y, colour = spot
        paint(canvas[y : y + len(alpha), x : x + alpha.shape[1]], alpha, tone, colour)
        solid = alpha >= 0.5
        owner[y : y + len(alpha), x : x + alpha.shape[1]][solid] = len(areas)
        areas.append(solid.sum())
        boxes.append(bounds(solid) + np.array([x, y, x, y]))
        labels.append(label)
    canvas += rng.uniform(1, 4) * rng.standard_normal((size, size, 1), "float32")
    image = np.clip(canvas, 0, 255).astype("uint8")
    return image, np.array(boxes, int).reshape(-1, 4), np.array(labels, int)


def bounds(mask):
    """The box (4,) int xyxy around the true pixels of a mask (H, W)."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return np.array([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1])


def find_spot(rng, canvas, owner, areas, alpha):
    """A place `(x, y, colour)` where the object stands out and hides little of the others."""
    height, width = alpha.shape
    solid = alpha >= 0.5
    seen = np.bincount(owner.ravel() + 1, minlength=len(areas) + 1)[1:]
    for _ in range(20):
        x = rng.integers(0, canvas.shape[1] - width + 1)
        y = rng.integers(0, canvas.shape[0] - height + 1)
        under = owner[y : y + height, x : x + width][solid]
        hidden = np.bincount(under + 1, minlength=len(areas) + 1)[1:]
        if np.any(seen - hidden < (1 - COVERED) * np.array(areas)):
            continue
        ground = cv2.resize(
            canvas[y : y + height, x : x + width], (8, 8), interpolation=cv2.INTER_AREA
        )
        apart = np.abs(ground.reshape(-1, 1, 3) - COLOURS).max(axis=-1)  # (64, colours)
        clear = np.flatnonzero((apart >= CONTRAST).mean(axis=0) >= 0.9)
        if len(clear):
            return x, y, COLOURS[rng.choice(clear)]
    return None


def render(faces, turn, side, rng):
    """An object alone: `(alpha, tone)`, both (H, W) float32 in 0..1, tone 0.5 the plain colour.

    The longer side of its outline is `side` px. A margin leaves room for the shadow.
    """
    faces = faces(rng)
    angle = np.radians(rng.uniform(-turn, turn))
    matrix = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    outline = faces[0][0] @ matrix.T  # (k, 2)
    low, extent = outline.min(axis=0), np.ptp(outline, axis=0)
    scale = max(side / extent.max(), SMALLEST / extent.min())
    margin = 3 + int(side / 12)  # as far as the shadow reaches
    width, height = np.ceil(extent * scale).astype(int) + 2 * margin

    def pixels(points):  # in 1/16 px of the finer picture, which is what fillPoly takes
        placed = (points @ matrix.T - low) * scale + margin
        return [np.round((placed * FINER - 0.5) * 16).astype("int32")]

    mask = np.zeros((height * FINER, width * FINER), "uint8")
    cv2.fillPoly(mask, pixels(faces[0][0]), 255, shift=4)
    tone = np.zeros_like(mask)
    for points, value in faces:
        cv2.fillPoly(tone, pixels(points), int(255 * value), cv2.LINE_AA, shift=4)
    edge = FINER * max(1, int(side / 22))
    cv2.polylines(tone, pixels(faces[0][0]), True, 60, edge, cv2.LINE_AA, shift=4)
    mask, tone = (
        cv2.resize(part, (int(width), int(height)), interpolation=cv2.INTER_AREA) / np.float32(255)
        for part in (mask, tone)
    )
    return mask, tone


def paint(patch, alpha, tone, colour):
    """Lay an object and its shadow on `patch` (H, W, 3) float32, in place."""
    height, width = alpha.shape
    blur = 1 + 2 * (min(alpha.shape) // 20)
    shadow = np.zeros_like(alpha)
    drop = 1 + min(alpha.shape) // 40
    shadow[drop:, drop:] = alpha[:-drop, :-drop]
    patch *= 1 - 0.4 * cv2.blur(shadow, (blur, blur), borderType=cv2.BORDER_CONSTANT)[..., None]
    light = 1.15 - 0.15 * (
        np.linspace(0, 1, height, dtype="float32")[:, None]
        + np.linspace(0, 1, width, dtype="float32")
    )
    tone = (2 * np.minimum(tone * light, 1))[..., None]  # 0 black, 1 the colour, 2 white
    ink = np.minimum(tone, 1) * colour + np.maximum(tone - 1, 0) * (255 - colour)
    patch += alpha[..., None] * (ink - patch)


def arc(start, stop, radius=1.0, steps=48):
    """Points (steps, 2) on a circle, angles in radians."""
    angles = np.linspace(start, stop, steps)
    return radius * np.stack([np.cos(angles), np.sin(angles)], axis=1)


def ball(rng):
    """A beach ball: a disc, its sectors light and plain in turn, a cap where they meet."""
    centre = rng.uniform(-0.35, 0.35, 2)
    faces = [(arc(0, 2 * np.pi), 0.5)]
    for i in range(0, 6, 2):
        rim = arc(i * np.pi / 3, (i + 1) * np.pi / 3, steps=12)
        faces.append((np.vstack([centre, rim]), 0.68))
    return [*faces, (centre + arc(0, 2 * np.pi, 0.16), 0.85)]


def crate(rng):
    """A rectangle of four boards in a frame, with a brace across."""
    half = np.array([1, rng.uniform(0.7, 1.2)])
    inner = half - 0.22
    corners = np.array([(-1, -1), (1, -1), (1, 1), (-1, 1)])
    faces = [(corners * half, 0.56), (corners * inner, 0.36)]
    for x in (-0.75, -0.25, 0.25, 0.75):
        faces.append(((corners * (0.21, 1) + (x, 0)) * inner, 0.47))
    brace = np.array([(-1, -1), (-0.7, -1), (1, 1), (0.7, 1)])
    return [*faces, (brace * inner, 0.6)]


def tent(rng):
    """A triangle with a dark door and a side in shade."""
    apex, foot = np.array([rng.uniform(-0.25, 0.25), -0.9]), 0.75
    left, right = np.array([-1, foot]), np.array([1, foot])
    faces = [(np.array([apex, right, left]), 0.52)]
    faces.append((np.array([apex, right, (0.45, foot)]), 0.38))
    for x in (-0.85, -0.15):
        faces.append((np.array([apex, (x, foot), (x + 0.2, foot)]), 0.68))
    tip = apex + 0.45 * (np.array([-0.2, foot]) - apex)
    return [*faces, (np.array([tip, (-0.5, foot), (0.1, foot)]), 0.2)]


def star(rng):
    """Five points, each folded along its middle."""
    inner = rng.uniform(0.45, 0.55)
    angles = np.arange(10) * np.pi / 5 - np.pi / 2
    rim = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    rim[1::2] *= inner
    faces = [(rim, 0.46)]
    for i in range(0, 10, 2):
        faces.append((np.array([(0, 0), rim[i - 1], rim[i]]), 0.64))
    return faces


SHAPES = {  # how it is drawn, and how far it turns to either side in degrees
    "ball": (ball, 180),
    "crate": (crate, 20),
    "tent": (tent, 20),
    "star": (star, 180),
}


def noise(rng, size, rows, columns):
    """Smooth noise (size, size) float32, about -1..1, from a grid of random numbers."""
    grid = rng.uniform(-1, 1, (rows, columns)).astype("float32")
    return cv2.resize(grid, (size, size), interpolation=cv2.INTER_CUBIC)


def clouds(rng, size):
    """Noise (size, size) of four scales."""
    return sum(noise(rng, size, n, n) / weight for n, weight in ((3, 2), (7, 4), (16, 8), (50, 12)))


def mix(first, second, share):
    """The colours (H, W, 3) float32 between two, where share (H, W) is 0..1."""
    first, second = (np.asarray(colour, "float32") for colour in (first, second))
    share = np.clip(share, 0, 1).astype("float32")
    return first + share[..., None] * (second - first)


def wood(rng, size):
    """Boards with grain along them, lying or standing."""
    boards = rng.integers(3, 6)
    position = np.arange(size) * boards / size
    board = position.astype(int)
    shift = rng.uniform(0, 6, boards)[board][:, None]
    rings = noise(rng, size, 4 * boards, 3) * 4 + shift + position[:, None] * 5
    grain = 0.5 + 0.22 * np.sin(rings * 3) + 0.2 * noise(rng, size, size // 2, 6)
    grain += rng.uniform(-0.25, 0.25, boards)[board][:, None]
    pairs = [((96, 62, 38), (150, 104, 66)), ((168, 128, 88), (214, 178, 132))]
    picture = mix(*pairs[rng.integers(len(pairs))], grain)
    picture[position % 1 < 1.6 * boards / size] *= 0.5
    return np.ascontiguousarray(picture if rng.random() < 0.5 else picture.swapaxes(0, 1))


def paper(rng, size):
    """Squared paper, lit from one corner."""
    tints = [(236, 230, 214), (222, 232, 238), (240, 236, 236), (206, 190, 160)]
    tint = np.array(tints[rng.integers(len(tints))], "float32")
    shade = 0.5 + clouds(rng, size) / 4 + 0.06 * rng.standard_normal((size, size), "float32")
    picture = mix(tint * 0.86, tint, shade)
    step = rng.integers(14, 30)
    lines = np.arange(size) % step == 0
    picture[lines] *= 0.88
    picture[:, lines] *= 0.88
    return picture


def tiles(rng, size):
    """A worn checkerboard seen at an angle."""
    angle, step = rng.uniform(0, np.pi), rng.uniform(22, 48)
    y, x = np.ogrid[:size, :size]
    u = ((x * np.cos(angle) + y * np.sin(angle)) / step).astype("float32")
    v = ((y * np.cos(angle) - x * np.sin(angle)) / step).astype("float32")
    check = np.sin(np.pi * u) * np.sin(np.pi * v)
    share = 0.5 + 0.5 * np.clip(check * 8, -1, 1)
    pairs = [
        ((186, 192, 196), (226, 226, 220)),
        ((64, 74, 84), (96, 108, 116)),
        ((150, 82, 62), (178, 108, 84)),
    ]
    picture = mix(*pairs[rng.integers(len(pairs))], share + 0.2 * clouds(rng, size))
    return picture * (1 + 0.12 * clouds(rng, size))[..., None]


def lawn(rng, size):
    """Blades of grass over light and dark patches, or sand."""
    blades = 0.5 + 0.25 * clouds(rng, size) + 0.3 * noise(rng, size, size // 6, size // 2)
    pairs = [((52, 92, 40), (118, 158, 76)), ((186, 158, 112), (230, 208, 164))]
    return mix(*pairs[rng.integers(len(pairs))], blades)


def cloth(rng, size):
    """Tartan: the same bands along and across."""
    bands = np.repeat(rng.uniform(0, 1, 32), rng.integers(3, 18, 32))
    bands = np.resize(bands, size).astype("float32")
    weave = 0.06 * ((np.arange(size)[:, None] + np.arange(size)) % 3 - 1).astype("float32")
    pairs = [
        ((34, 48, 84), (86, 108, 150)),
        ((150, 164, 176), (222, 226, 226)),
        ((92, 34, 44), (150, 82, 84)),
    ]
    share = (bands[:, None] + bands) / 2 + weave + 0.15 * clouds(rng, size)
    return mix(*pairs[rng.integers(len(pairs))], share)


BACKGROUNDS = (wood, paper, tiles, lawn, cloth)


def scribble(rng, canvas):
    """Up to six bent strokes that are nothing, on a copy."""
    size = len(canvas)
    canvas = np.clip(canvas, 0, 255).astype("uint8")  # smooth lines are for uint8 alone
    for _ in range(rng.integers(0, 7)):
        ends = rng.uniform(0, size, (2, 2))
        bend = ends.mean(axis=0) + rng.normal(0, size / 5, 2)
        t = np.linspace(0, 1, 24)[:, None]
        curve = (1 - t) ** 2 * ends[0] + 2 * t * (1 - t) * bend + t**2 * ends[1]
        colour = COLOURS[rng.integers(len(COLOURS))] * 0.6 + 50
        points = [np.round(curve * 16).astype("int32")]
        thickness = int(rng.integers(1, 5))
        cv2.polylines(canvas, points, False, colour.tolist(), thickness, cv2.LINE_AA, shift=4)
    return canvas.astype("float32")
