import itertools
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from PIL import Image

from keras_retinanet.errors import InputError
from keras_retinanet.preprocessing.image_info import image_info
from keras_retinanet.utils import image as im
from keras_retinanet.utils import transform as t

PICTURE = np.random.default_rng(0).integers(0, 256, (4, 7, 3), "uint8")

# What the EXIF standard calls row 0 and column 0 of the stored image, for each orientation.
STORED = {
    1: lambda a: a,  # top, left
    2: lambda a: a[:, ::-1],  # top, right
    3: lambda a: a[::-1, ::-1],  # bottom, right
    4: lambda a: a[::-1],  # bottom, left
    5: lambda a: a.swapaxes(0, 1),  # left, top
    6: lambda a: a[:, ::-1].swapaxes(0, 1),  # right, top
    7: lambda a: a[::-1, ::-1].swapaxes(0, 1),  # right, bottom
    8: lambda a: a[::-1].swapaxes(0, 1),  # left, bottom
}


def saved(path, array_or_image, **options):
    picture = array_or_image
    if isinstance(picture, np.ndarray):
        picture = Image.fromarray(np.ascontiguousarray(picture))
    picture.save(path, **options)
    return path


def test_read_gives_rgb_or_bgr(tmp_path):
    path = saved(tmp_path / "a.png", PICTURE)
    rgb, bgr = im.read_image_rgb(path), im.read_image_bgr(str(path))
    assert_array_equal(rgb, PICTURE)
    assert_array_equal(bgr, PICTURE[..., [2, 1, 0]])
    assert rgb.dtype == bgr.dtype == np.uint8
    assert bgr.flags.c_contiguous
    rgb[0, 0] = bgr[0, 0] = 0  # both can be drawn on


@pytest.mark.parametrize("ending", ["png", "tiff"])
@pytest.mark.parametrize("orientation", list(STORED))
def test_read_brings_pictures_upright(tmp_path, orientation, ending):
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = saved(tmp_path / f"a.{ending}", STORED[orientation](PICTURE), exif=exif)
    assert_array_equal(im.read_image_rgb(path), PICTURE)


def test_read_survives_a_broken_exif_header(tmp_path):
    path = saved(tmp_path / "a.jpg", np.full((8, 8, 3), 90, "uint8"), exif=b"Exif\0\0nonsense")
    assert_array_equal(im.read_image_rgb(path), 90)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA", "CMYK", "YCbCr", "F"])
def test_read_turns_any_mode_into_rgb(tmp_path, mode):
    grey = np.repeat(np.array([[[0], [255]], [[255], [0]]], "uint8"), 3, axis=2)
    ending = "tiff" if mode in ("CMYK", "YCbCr", "F") else "png"
    path = saved(tmp_path / f"a.{ending}", Image.fromarray(grey).convert(mode))
    with Image.open(path) as image:
        assert image.mode == mode
    assert_array_equal(im.read_image_rgb(path), grey)


@pytest.mark.filterwarnings("error")
def test_read_drops_transparency(tmp_path):
    rgba = np.dstack([PICTURE, np.full((4, 7), 10, "uint8")])
    assert_array_equal(im.read_image_rgb(saved(tmp_path / "a.png", rgba)), PICTURE)
    palette = Image.fromarray(np.array([[0, 1]], "uint8")).convert("P")
    palette.putpalette([200, 0, 0, 0, 100, 0])
    path = saved(tmp_path / "b.png", palette, transparency=b"\x00\x80")
    assert im.read_image_rgb(path).tolist() == [[[200, 0, 0], [0, 100, 0]]]


# Blocks of 8 px, which JPEG keeps within rounding, and grey ones where the colour is coarser.
COLOURS = np.array(
    [[(250, 20, 30), (30, 200, 60), (20, 40, 220)], [(0,) * 3, (128,) * 3, (255,) * 3]]
)
COLOURS = COLOURS.repeat(8, axis=0).repeat(8, axis=1).astype("uint8")  # (16, 24, 3)
GREY = COLOURS[..., :1].repeat(3, axis=2)
BLACK_AND_WHITE = np.where(GREY > 128, 255, 0).astype("uint8")
DEEP = GREY[..., 0].astype("uint16") * 257  # 16 bits of the same grey
ALPHA = np.full((16, 24, 1), 9, "uint8")
PALETTE = Image.fromarray(COLOURS).quantize(6)


def pillow(array, mode=None, **options):
    """Writes an image through Pillow."""

    def write(path):
        picture = array if isinstance(array, Image.Image) else Image.fromarray(array)
        (picture.convert(mode) if mode else picture).save(path, **options)

    return write


def opencv(array):
    """Writes an image through OpenCV, which knows 16 bits a colour; its order is BGR."""
    return lambda path: cv2.imwrite(str(path), array[..., [2, 1, 0, *range(3, array.shape[2])]])


KINDS = {  # (suffix, how it is written, the pixels to expect, how far off they may be)
    "JPEG": ("jpg", pillow(COLOURS, quality=95, subsampling=0), COLOURS, 3),
    "progressive JPEG": (
        "jpg",
        pillow(COLOURS, quality=95, subsampling=0, progressive=True),
        COLOURS,
        3,
    ),
    "JPEG with less colour": ("jpg", pillow(GREY, "RGB", quality=95, subsampling=2), GREY, 2),
    "grey JPEG": ("jpg", pillow(GREY, "L", quality=95), GREY, 2),
    "CMYK JPEG": ("jpg", pillow(COLOURS, "CMYK", quality=95, subsampling=0), COLOURS, 3),
    "PNG": ("png", pillow(COLOURS), COLOURS, 0),
    "grey PNG": ("png", pillow(GREY, "L"), GREY, 0),
    "1-bit PNG": ("png", pillow(BLACK_AND_WHITE, "1"), BLACK_AND_WHITE, 0),
    "palette PNG": ("png", pillow(PALETTE), COLOURS, 0),
    "palette PNG with a colour that is clear": ("png", pillow(PALETTE, transparency=2), COLOURS, 0),
    "palette PNG with transparency": (
        "png",
        pillow(PALETTE, transparency=bytes(range(6))),
        COLOURS,
        0,
    ),
    "PNG with a colour that is clear": ("png", pillow(COLOURS, transparency=(0, 0, 0)), COLOURS, 0),
    "RGBA PNG": ("png", pillow(np.dstack([COLOURS, ALPHA])), COLOURS, 0),
    "LA PNG": ("png", pillow(np.dstack([GREY[..., :1], ALPHA])), GREY, 0),
    "16-bit grey PNG": ("png", pillow(DEEP), GREY, 0),
    "16-bit RGB PNG": ("png", opencv(COLOURS.astype("uint16") * 257), COLOURS, 0),
    "16-bit RGBA PNG": (
        "png",
        opencv(np.dstack([COLOURS, ALPHA]).astype("uint16") * 257),
        COLOURS,
        0,
    ),
    "BMP": ("bmp", pillow(COLOURS), COLOURS, 0),
    "grey BMP": ("bmp", pillow(GREY, "L"), GREY, 0),
    "1-bit BMP": ("bmp", pillow(BLACK_AND_WHITE, "1"), BLACK_AND_WHITE, 0),
    "palette BMP": ("bmp", pillow(PALETTE), COLOURS, 0),
    "TIFF": ("tif", pillow(COLOURS), COLOURS, 0),
    "TIFF with LZW": ("tiff", pillow(COLOURS, compression="tiff_lzw"), COLOURS, 0),
    "TIFF with JPEG": ("tiff", pillow(COLOURS, compression="jpeg", quality=95), COLOURS, 12),
    "CMYK TIFF": ("tif", pillow(COLOURS, "CMYK"), COLOURS, 0),
    "palette TIFF": ("tif", pillow(PALETTE), COLOURS, 0),
    "1-bit TIFF": ("tif", pillow(BLACK_AND_WHITE, "1"), BLACK_AND_WHITE, 0),
    "16-bit grey TIFF": ("tif", pillow(DEEP), GREY, 0),
    "16-bit grey TIFF, high byte first": ("tif", pillow(DEEP.astype(">u2")), GREY, 0),
    "16-bit RGB TIFF": ("tif", opencv(COLOURS.astype("uint16") * 257), COLOURS, 0),
    "32-bit grey TIFF": ("tif", pillow(DEEP.astype("int32")), GREY, 0),
    "float TIFF of 0 to 255": ("tif", pillow(GREY[..., 0].astype("float32")), GREY, 0),
    "float TIFF of 0 to 1": ("tif", pillow(GREY[..., 0].astype("float32") / 255), GREY, 0),
    "WebP": ("webp", pillow(GREY, "RGB", quality=95), GREY, 3),
    "WebP without loss": ("webp", pillow(COLOURS, lossless=True), COLOURS, 0),
    "RGBA WebP": (
        "webp",
        pillow(np.dstack([COLOURS, ALPHA]), lossless=True, exact=True),
        COLOURS,
        0,
    ),
    "GIF": ("gif", pillow(PALETTE), COLOURS, 0),
}


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_image_comes_back(tmp_path, kind):
    suffix, write, expected, atol = KINDS[kind]
    path = tmp_path / f"a.{suffix}"
    write(path)
    pixels = im.read_image_rgb(path)
    assert pixels.dtype == np.uint8
    assert pixels.shape == (16, 24, 3)
    assert_allclose(pixels.astype(int), expected.astype(int), rtol=0, atol=atol)
    assert image_info(path).size == (24, 16)


def test_read_scales_sixteen_bit_grey(tmp_path):
    deep = np.array([[0, 128, 129, 257, 32768, 65535]], "uint16")  # / 257, to the nearest
    for name in ("a.png", "a.tiff"):
        grey = im.read_image_rgb(saved(tmp_path / name, deep))
        assert grey[0, :, 0].tolist() == [0, 0, 1, 1, 128, 255]
        assert_array_equal(grey[..., 0], grey[..., 2])


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("float_out_of_range", "its values are -1 to 300, not 0 to 1 or 0 to 255"),
        ("float_nan", "its values are nan to nan, not 0 to 1 or 0 to 255"),
    ],
)
def test_floats_that_are_no_colours_are_refused(name, reason):
    path = Path(__file__).parents[1] / f"data/images/{name}.tif"
    with pytest.raises(InputError) as caught:
        im.read_image_rgb(path)
    assert str(caught.value) == f"{path}: the image cannot be read ({reason})."


def test_read_names_the_file_that_cannot_be_read(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), "uint8")
    whole = {
        name: saved(tmp_path / name, noise).read_bytes() for name in ("cut.jpg", "cut.png", "c.gif")
    }
    for name, data in whole.items():
        (tmp_path / name).write_bytes(data[: len(data) // 2])
    (tmp_path / "text.jpg").write_text("not an image")
    (tmp_path / "empty.png").write_bytes(b"")
    (tmp_path / "folder.png").mkdir()
    for name in (*whole, "text.jpg", "empty.png", "folder.png", "missing.jpg"):
        with pytest.raises(InputError, match=name):
            im.read_image_bgr(tmp_path / name)


def test_preprocess_caffe_and_tf():
    pixel = np.array([[[0, 127.5, 255]]])
    # 0 - 103.939, 127.5 - 116.779, 255 - 123.68
    assert_allclose(im.preprocess_image(pixel), [[[-103.939, 10.721, 131.32]]], rtol=1e-6)
    assert im.preprocess_image(pixel, mode="tf").tolist() == [[[-1, 0, 1]]]
    for mode in ("caffe", "tf"):
        batch = np.stack([PICTURE, PICTURE])
        result = im.preprocess_image(batch, mode=mode)
        assert (result.dtype, result.shape) == (np.float32, batch.shape)
        assert_array_equal(batch[0], PICTURE)  # not in place
    with pytest.raises(ValueError, match="'keras'"):
        im.preprocess_image(PICTURE, mode="keras")


def test_resize_gives_one_unrounded_scale():
    image = np.zeros((480, 641, 3), "uint8")
    resized, scale = im.resize_image(image, min_side=100, max_side=1000)
    assert resized.shape == (100, 134, 3)  # 641 * 100 / 480 = 133.54
    assert scale == 100 / 480


def test_resize_is_bilinear():
    # centres of the four new columns lie at -0.25, 0.25, 0.75, 1.25 of the two old ones
    image = np.array([[[0], [80]], [[0], [80]]], "uint8")
    resized, _ = im.resize_image(image, 4, 4)
    assert resized.shape == (4, 4, 1)
    assert resized[0, :, 0].tolist() == [0, 20, 60, 80]


def test_resize_refuses_an_image_without_pixels():
    with pytest.raises(InputError, match="pixels"):
        im.resize_image(np.zeros((0, 5, 3), "uint8"))


RECTANGLE = [4, 3, 9, 13]  # on a canvas 30 wide, 20 high


def drawn(box=RECTANGLE):
    image = np.zeros((20, 30, 3), "uint8")
    x1, y1, x2, y2 = box
    image[y1:y2, x1:x2] = (50, 100, 200)
    return image


@pytest.mark.parametrize("interpolation", ["nearest", "linear", "cubic", "lanczos4"])
@pytest.mark.parametrize(
    ("matrix", "relative", "expected"),
    [
        (np.eye(3), True, [4, 3, 9, 13]),
        (t.scaling((-1, 1)), True, [21, 3, 26, 13]),  # x -> 30 - x
        (t.scaling((1, -1)), True, [4, 7, 9, 17]),  # y -> 20 - y
        (t.translation((0.1, -0.1)), True, [7, 1, 12, 11]),  # a tenth of 30, of 20
        (t.translation((6, 2)), False, [10, 5, 15, 15]),
        (t.rotation(np.pi / 2), True, [12, -1, 22, 4]),  # about (15, 10)
    ],
)
def test_boxes_stay_on_what_they_mark(matrix, relative, expected, interpolation):
    params = im.TransformParameters("constant", interpolation, relative_translation=relative)
    image = drawn()
    matrix = im.adjust_transform_for_image(matrix, image, params.relative_translation)
    assert_allclose(t.transform_aabb(matrix, RECTANGLE), expected, atol=1e-9)
    x1, y1, x2, y2 = expected
    assert_array_equal(im.apply_transform(matrix, image, params), drawn([x1, max(0, y1), x2, y2]))


def test_enlarging_moves_edges_to_where_the_boxes_are():
    params = im.TransformParameters("constant", "nearest")
    image = drawn([12, 8, 18, 12])
    matrix = im.adjust_transform_for_image(t.scaling((2, 2)), image, True)
    assert t.transform_aabb(matrix, [12, 8, 18, 12]).tolist() == [9, 6, 21, 14]
    assert_array_equal(im.apply_transform(matrix, image, params), drawn([9, 6, 21, 14]))


def test_adjusting_leaves_the_matrix_alone():
    matrix = t.translation((0.5, 0.5))
    im.adjust_transform_for_image(matrix, drawn(), True)
    assert_array_equal(matrix, t.translation((0.5, 0.5)))


@pytest.mark.parametrize(
    ("fill_mode", "expected"),
    [
        ("nearest", [10, 10, 10, 20]),
        ("constant", [7, 7, 10, 20]),
        ("reflect", [30, 20, 10, 20]),
        ("wrap", [30, 40, 10, 20]),
    ],
)
def test_fill_modes(fill_mode, expected):
    image = np.repeat(np.array([[[10], [20], [30], [40]]], "uint8"), 3, axis=2)
    params = im.TransformParameters(fill_mode, cval=7)
    moved = im.apply_transform(t.translation((2, 0)), image, params)
    for channel in range(3):
        assert moved[0, :, channel].tolist() == expected


def test_one_channel_stays_a_channel():
    image = np.zeros((4, 6, 1), "uint8")
    assert im.apply_transform(np.eye(3), image, im.TransformParameters()).shape == (4, 6, 1)


def test_unknown_choices_list_the_known():
    with pytest.raises(ValueError, match="nearest, constant, reflect, wrap"):
        im.TransformParameters(fill_mode="mirror").cvBorderMode()
    with pytest.raises(ValueError, match="lanczos4"):
        im.TransformParameters(interpolation="best").cvInterpolation()


def test_contrast_and_brightness_by_hand():
    image = np.array([[[0, 100, 50], [100, 100, 150]]], "uint8")  # means 50, 100, 100
    # 50 + (0 - 50) * 1.5 = -25, clipped; 100 + 50 * 1.5
    assert im.adjust_contrast(image, 1.5).tolist() == [[[0, 100, 25], [125, 100, 175]]]
    assert im.adjust_contrast(image, 0).tolist() == [[[50, 100, 100]] * 2]
    # 0.2 of 255 is 51
    assert im.adjust_brightness(image, 0.2).tolist() == [[[51, 151, 101], [151, 151, 201]]]
    assert im.adjust_brightness(image, -0.5)[0, 0].tolist() == [0, 0, 0]  # 100 - 127.5 is below 0


def test_hue_and_saturation_by_hand():
    hsv = np.array([[[10, 100, 200], [170, 200, 50]]], "uint8")
    # 0.1 of OpenCV's 180; 170 + 18 goes round to 8
    assert im.adjust_hue(hsv, 0.1).tolist() == [[[28, 100, 200], [8, 200, 50]]]
    assert im.adjust_hue(hsv, -0.1).tolist() == [[[172, 100, 200], [152, 200, 50]]]
    assert im.adjust_saturation(hsv, 1.5).tolist() == [[[10, 150, 200], [170, 255, 50]]]


def test_effects_on_primary_colours():
    red, green, blue = [0, 0, 255], [0, 255, 0], [255, 0, 0]  # BGR
    image = np.array([[red, green, blue]], "uint8")
    before = image.copy()
    third = im.VisualEffect(hue_delta=1 / 3)
    assert third(image).tolist() == [[green, blue, red]]
    assert im.VisualEffect(saturation_factor=0)(image).tolist() == [[[255] * 3] * 3]
    assert_array_equal(im.VisualEffect()(PICTURE), PICTURE)
    assert_array_equal(image, before)


def test_random_effects_stay_in_their_ranges_and_follow_their_prng():
    ranges = {
        "contrast_range": (0.5, 1.5),
        "brightness_range": (-0.2, 0.1),
        "hue_range": (0, 0.1),
        "saturation_range": (2, 2),
    }

    def first(prng=None):
        return list(itertools.islice(im.random_visual_effect_generator(**ranges, prng=prng), 200))

    effects = first()
    assert effects == first()
    assert first(np.random.RandomState(1)) == first(np.random.RandomState(1)) != effects
    for name, field in zip(
        ranges,
        ("contrast_factor", "brightness_delta", "hue_delta", "saturation_factor"),
        strict=True,
    ):
        low, high = ranges[name]
        values = [getattr(effect, field) for effect in effects]
        assert low <= min(values) <= low + 0.05 * (high - low)
        assert high - 0.05 * (high - low) <= max(values) <= high


@pytest.mark.parametrize(
    "wrong", [{"contrast_range": (1.1, 0.9)}, {"saturation_range": (-1, 1)}, {"hue_range": (-2, 0)}]
)
def test_random_effects_refuse_impossible_ranges(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        im.random_visual_effect_generator(**wrong)


def test_write_image_bgr_keeps_the_pixels(tmp_path):
    image = np.random.default_rng(0).integers(0, 255, (20, 30, 3), "uint8")
    im.write_image_bgr(str(tmp_path / "é.png"), image)
    assert np.array_equal(im.read_image_bgr(tmp_path / "é.png"), image)


def test_write_image_bgr_says_what_cannot_be_written(tmp_path):
    image = np.zeros((2, 2, 3), "uint8")
    (tmp_path / "file").write_text("kept")
    with pytest.raises(InputError, match=r"a\.png cannot be written: "):
        im.write_image_bgr(str(tmp_path / "file" / "a.png"), image)
    assert (tmp_path / "file").read_text() == "kept"
