"""Reading, resizing and disturbing images. Pixel (row r, column c) covers [c, c+1] x [r, r+1]."""

import dataclasses
import os

import cv2
import numpy as np
from PIL import Image

from keras_retinanet.errors import InputError
from keras_retinanet.utils.outputs import replacing
from keras_retinanet.utils.resizing import compute_resize_scale, fit_opencv, stretch
from keras_retinanet.utils.transform import change_transform_origin

ORIENTATION = 0x0112  # the EXIF tag
UPRIGHT = {  # what brings a picture with this EXIF orientation upright
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
IMAGENET_MEAN_BGR = np.array([103.939, 116.779, 123.68], "float32")
BORDER_MODES = {
    "nearest": cv2.BORDER_REPLICATE,
    "constant": cv2.BORDER_CONSTANT,
    "reflect": cv2.BORDER_REFLECT_101,
    "wrap": cv2.BORDER_WRAP,
}
INTERPOLATIONS = {
    "nearest": cv2.INTER_NEAREST,
    "linear": cv2.INTER_LINEAR,
    "cubic": cv2.INTER_CUBIC,
    "area": cv2.INTER_AREA,
    "lanczos4": cv2.INTER_LANCZOS4,
}


def read_image_rgb(path):
    """An image file as an upright (H, W, 3) uint8 RGB array.

    The EXIF orientation is applied and transparency dropped. Grey of 16 bits is scaled to 8, and so
    is floating point of 0 to 1; of 0 to 255 it is rounded.

    Raises:
        InputError: when the file is missing, is not an image, or is broken.
    """
    try:
        with Image.open(path) as image:
            image.load()
            turn = UPRIGHT.get(orientation(image))
            image = image.transpose(turn) if turn is not None else image
            return np.array(eight_bit(image).convert("RGB"))
    except Exception as error:  # Pillow's decoders raise many kinds
        raise InputError(f"Expected a readable image. Received: {path} ({error})") from error


def read_image_bgr(path):
    """`read_image_rgb` with the channels in OpenCV's order."""
    return cv2.cvtColor(read_image_rgb(path), cv2.COLOR_RGB2BGR)


def write_image_bgr(path, image):
    """Write a BGR image (H, W, 3) uint8 to a file, in the format of its suffix.

    Raises:
        InputError: when the file cannot be written.
    """
    _, data = cv2.imencode(os.path.splitext(path)[1], image)
    try:
        with replacing(path) as part:
            part.write_bytes(data)
    except OSError as error:
        raise InputError(f"{path}: cannot be written: {error.strerror}") from None


def orientation(image):
    """The EXIF orientation of an open image, 1 (upright) where its EXIF is broken."""
    try:
        return image.getexif().get(ORIENTATION, 1)
    except Exception:  # a good picture may carry a bad header
        return 1


def eight_bit(image):
    if image.mode == "P" and "transparency" in image.info:
        return image.convert("RGBA")
    if image.mode == "I" or image.mode.startswith("I;16"):
        grey = np.clip(np.asarray(image, "int32"), 0, 65535)
        return Image.fromarray(np.rint(grey / 257).astype("uint8"))
    if image.mode == "F":
        return Image.fromarray(float_to_eight_bit(np.asarray(image)))
    return image


def float_to_eight_bit(values):
    low, high = values.min(), values.max()
    if not 0 <= low <= high <= 255:  # NaN neither
        raise ValueError(f"expected values of 0 to 1, or 0 to 255. Received: {low:g} to {high:g}")
    return np.rint(values * (255 if high <= 1 else 1)).astype("uint8")


def preprocess_image(x, mode="caffe"):
    """Pixel values 0..255 as ImageNet backbones take them: float32, same shape, a new array.

    `caffe` subtracts the ImageNet mean (of BGR images); `tf` scales to -1..1.
    """
    x = np.asarray(x, "float32")
    if mode == "caffe":
        return x - IMAGENET_MEAN_BGR
    if mode == "tf":
        return x / np.float32(127.5) - np.float32(1)
    raise ValueError(f"Expected mode 'caffe' or 'tf'. Received: {mode!r}")


def resize_to(image, min_side=800, max_side=1333):
    """Resize bilinearly: `(image, (scale_x, scale_y))`, the true output / input of each axis."""
    fit = fit_opencv(image.shape[1::-1], min_side, max_side)
    resized = stretch(image, fit)
    return resized.reshape(*resized.shape[:2], *image.shape[2:]), fit.scale


def resize_image(img, min_side=800, max_side=1333):
    """Resize bilinearly: `(image, scale)`, one scale for both axes, before sizes are rounded."""
    resized, _ = resize_to(img, min_side, max_side)
    return resized, compute_resize_scale(img.shape, min_side, max_side)


@dataclasses.dataclass
class TransformParameters:
    """How `apply_transform` fills what comes into view, and interpolates.

    Args:
        fill_mode: `nearest`, `constant`, `reflect` or `wrap`.
        interpolation: `nearest`, `linear`, `cubic`, `area` or `lanczos4`.
        cval: the value of `constant`, 0..255, one for all channels.
        relative_translation: translations are fractions of the image's size instead of px.
    """

    fill_mode: str = "nearest"
    interpolation: str = "linear"
    cval: float = 0
    relative_translation: bool = True

    def cvBorderMode(self):
        return choose(BORDER_MODES, "fill_mode", self.fill_mode)

    def cvInterpolation(self):
        return choose(INTERPOLATIONS, "interpolation", self.interpolation)


def choose(choices, name, value):
    if value not in choices:
        raise ValueError(f"Expected {name} among {', '.join(choices)}. Received: {value!r}")
    return choices[value]


def adjust_transform_for_image(transform, image, relative_translation):
    """A transform (3, 3) about the centre of an image (H, W, ...), as a new matrix."""
    height, width = image.shape[:2]
    transform = np.array(transform, "float64")
    if relative_translation:
        transform[:2, 2] *= width, height
    return change_transform_origin(transform, (width / 2, height / 2))


def apply_transform(matrix, image, params):
    """Move the content of an image (H, W, C) by a matrix (3, 3) in px; the size stays.

    Boxes moved by `transform_aabb` with the same matrix keep their place on the content.
    """
    half = np.array([[1, 0, 0.5], [0, 1, 0.5], [0, 0, 1]])  # OpenCV's pixel centres lie at 0
    matrix = np.linalg.inv(half) @ np.asarray(matrix, "float64") @ half
    moved = cv2.warpAffine(
        image,
        matrix[:2],
        dsize=(image.shape[1], image.shape[0]),
        flags=params.cvInterpolation(),
        borderMode=params.cvBorderMode(),
        borderValue=(params.cval,) * 4,
    )
    return moved.reshape(image.shape)


def lookup(image, table):
    """Each channel of a uint8 image (H, W, 3) through its column of a table (256, 3)."""
    table = np.clip(np.rint(table), 0, 255).astype("uint8")
    return cv2.LUT(image, np.broadcast_to(table, (256, 3)).reshape(256, 1, 3))


LEVELS = np.arange(256, dtype="float32")[:, None]  # (256, 1)


def adjust_contrast(image, factor):
    """Scale a uint8 image's distance from the mean of each channel."""
    mean = image.mean(axis=(0, 1), dtype="float64")  # (3,)
    return lookup(image, (LEVELS - mean) * factor + mean)


def adjust_brightness(image, delta):
    """Add delta (a fraction of 255) to a uint8 image."""
    return lookup(image, LEVELS + delta * 255)


def adjust_hue(image, delta):
    """Turn the hue of an HSV uint8 image by delta (a fraction of the whole circle)."""
    turned = np.mod(np.rint(LEVELS + delta * 180), 180)
    return lookup(image, np.hstack([turned, LEVELS, LEVELS]))


def adjust_saturation(image, factor):
    """Scale the saturation of an HSV uint8 image."""
    return lookup(image, np.hstack([LEVELS, LEVELS * factor, LEVELS]))


@dataclasses.dataclass(frozen=True)
class VisualEffect:
    """One change of colours, called with a BGR uint8 image (H, W, 3); returns a new one.

    On RGB images the hue turns the other way round.
    """

    contrast_factor: float = 1
    brightness_delta: float = 0
    hue_delta: float = 0
    saturation_factor: float = 1

    def __call__(self, image):
        image = adjust_contrast(image, self.contrast_factor)
        image = adjust_brightness(image, self.brightness_delta)
        if self.hue_delta == 0 and self.saturation_factor == 1:
            return image  # the way to HSV and back costs a little precision
        image = cv2.cvtColor(image, cv2.COLOR_BGR2HSV)
        image = adjust_saturation(adjust_hue(image, self.hue_delta), self.saturation_factor)
        return cv2.cvtColor(image, cv2.COLOR_HSV2BGR)


def random_visual_effect_generator(
    contrast_range=(0.9, 1.1),
    brightness_range=(-0.1, 0.1),
    hue_range=(-0.05, 0.05),
    saturation_range=(0.95, 1.05),
    prng=None,
):
    """An infinite generator of `VisualEffect`s, each value uniform in its range.

    `prng` is a NumPy RandomState or Generator; without one the effects are the same in each run.

    Raises:
        ValueError: where a range is not in order, or lets contrast, saturation below 0.
    """
    ranges = [contrast_range, brightness_range, hue_range, saturation_range]
    for name, (low, high), least in zip(
        ("contrast", "brightness", "hue", "saturation"), ranges, (0, -1, -1, 0), strict=True
    ):
        if not least <= low <= high:
            raise ValueError(f"Expected {name}_range {least} <= low <= high. Received: {low, high}")
    prng = np.random.default_rng(0) if prng is None else prng

    def effects():
        while True:
            yield VisualEffect(*(prng.uniform(low, high) for low, high in ranges))

    return effects()
