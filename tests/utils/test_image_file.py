"""Images of any size are read in bounded memory, or refused with a way to allow them."""

import struct
import subprocess
import sys
import threading
import time
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from keras_retinanet.errors import InputError
from keras_retinanet.preprocessing.image_info import image_info
from keras_retinanet.utils import image_file
from keras_retinanet.utils.threads import in_threads

ROOT = str(Path(__file__).parents[2])


def noise(path, width=40, height=30):
    pixels = np.random.default_rng(0).integers(0, 256, (height, width, 3), "uint8")
    Image.fromarray(pixels).save(path)
    return pixels


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def black_png(path, side, colour=6):
    """A PNG of side x side black pixels: RGBA (colour 6) or grey (colour 0)."""
    packer, row = zlib.compressobj(1), bytes(1 + side * (4 if colour == 6 else 1))
    data = b"".join([*(packer.compress(row) for _ in range(side)), packer.flush()])
    head = struct.pack(">IIBBBBB", side, side, 8, colour, 0, 0, 0)
    chunks = chunk(b"IHDR", head), chunk(b"IDAT", data), chunk(b"IEND", b"")
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(chunks))


@pytest.mark.parametrize("strip", [1, 41, 170, 10_000])
def test_strips_are_the_rows_of_the_image(tmp_path, monkeypatch, strip):
    monkeypatch.setattr(image_file, "STRIP", strip)
    pixels = noise(tmp_path / "a.png")
    np.testing.assert_array_equal(image_file.read_image_rgb(tmp_path / "a.png"), pixels)
    palette = Image.fromarray(pixels).convert("P", palette=Image.Palette.ADAPTIVE)
    palette.save(tmp_path / "p.gif", transparency=3)
    expected = np.asarray(palette.convert("RGB"))
    np.testing.assert_array_equal(image_file.read_image_rgb(tmp_path / "p.gif"), expected)


def test_the_limit_of_pillow_is_passed_and_kept_for_others(tmp_path, monkeypatch):
    pixels = noise(tmp_path / "a.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    np.testing.assert_array_equal(image_file.read_image_rgb(tmp_path / "a.png"), pixels)
    assert image_info(tmp_path / "a.png").size == (40, 30)
    assert Image.MAX_IMAGE_PIXELS == 100


@pytest.mark.parametrize("read", [image_file.read_image_rgb, image_info])
def test_a_larger_image_is_named_and_can_be_allowed(tmp_path, monkeypatch, read):
    path = tmp_path / "a.png"
    noise(path)
    monkeypatch.setattr(image_file, "MOST_PIXELS", 1199)
    with pytest.raises(InputError) as caught:
        read(path)
    assert str(caught.value).startswith(f"{path}: 40 x 30 px are more than 1,199 pixels; ")
    assert "set KERAS_RETINANET_MAX_PIXELS=1200" in str(caught.value)
    monkeypatch.setenv("KERAS_RETINANET_MAX_PIXELS", "1200")
    read(path)


def test_threads_together_decode_few_pixels(tmp_path, monkeypatch):
    noise(tmp_path / "a.png")  # 1200 px
    noise(tmp_path / "large.png", 200, 100)
    monkeypatch.setattr(image_file, "TOGETHER", 2500)
    real, lock, now, most = image_file._upright, threading.Lock(), [], []

    def slow(image):
        with lock:
            now.append(image.width * image.height)
            most.append(sum(now))
        time.sleep(0.01)
        result = real(image)
        with lock:
            now.remove(image.width * image.height)
        return result

    monkeypatch.setattr(image_file, "_upright", slow)
    paths = [tmp_path / "a.png"] * 12 + [tmp_path / "large.png"] + [tmp_path / "a.png"] * 12
    with ThreadPoolExecutor(8) as pool:
        shapes = [image.shape for image in pool.map(image_file.read_image_rgb, paths)]
    assert shapes.count((30, 40, 3)) == 24
    assert sorted(set(most)) == [1200, 2400, 20_000]
    (tmp_path / "b.png").write_text("none")
    for _ in range(9):
        with pytest.raises(InputError):
            image_file.read_image_rgb(tmp_path / "b.png")
    assert image_file._in_use == 0


def test_an_error_drops_the_calls_that_have_not_begun():
    begun = []

    def call(item):
        begun.append(item)
        time.sleep(0.001)
        if item == 0:
            raise InputError("the first")

    with pytest.raises(InputError):
        in_threads(call, range(5_000))
    assert len(begun) < 5_000


MEASURE = """
import resource, sys
from keras_retinanet.bin import doctor
from keras_retinanet.utils.image_file import read_image_rgb
def examine(name):
    doctor.run(doctor.parse_args([*sys.argv[1:], "csv", name]))
examine("small.csv")  # imports what is needed
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
examine("large.csv")
print(before, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


@pytest.mark.slow
@pytest.mark.parametrize(("side", "colour", "copies"), [(8_000, 6, 4), (14_000, 0, 1)])
def test_the_doctor_holds_one_large_image_at_a_time(tmp_path, side, colour, copies):
    rows = []
    for i in range(copies):
        black_png(tmp_path / f"{i}.png", side, colour)
        rows.append(f"{i}.png,5,5,{side // 2},{side // 2},a\n")
    black_png(tmp_path / "small.png", 64, colour)
    (tmp_path / "small.csv").write_text("small.png,5,5,30,30,a\n")
    (tmp_path / "large.csv").write_text("".join(rows))
    args = [sys.executable, "-c", MEASURE, f"--html={tmp_path / 'd.html'}"]
    done = subprocess.run(
        args, capture_output=True, text=True, cwd=tmp_path, env={"PYTHONPATH": ROOT}
    )
    assert done.returncode == 0, done.stderr
    assert "unreadable" not in done.stdout
    before, after = map(int, done.stdout.splitlines()[-1].split())
    assert (after - before) * 1024 < 8.5 * side * side
