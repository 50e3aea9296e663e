"""Detection with a local Ray: each image once, in this run or an earlier one."""

import json
import subprocess
import sys
from collections import Counter

import pytest

from keras_retinanet.bin import detect

pytestmark = pytest.mark.slow

# In a process of its own: Ray forks, which can hang where other tests have left threads.
DETECT = """
import sys
from keras_retinanet import ray_detection
from keras_retinanet.bin import detect
ray_detection.IMAGES = 4
detect.main(sys.argv[1:])
"""


@pytest.fixture(scope="module")
def images(sample, tmp_path_factory):
    """A folder of 12 images of which one is broken."""
    folder = tmp_path_factory.mktemp("lake")
    pictures = sorted((sample / "images" / "train").glob("*.jpg"))
    for index in range(11):
        picture = pictures[index % len(pictures)]
        (folder / f"{index:02d}.jpg").write_bytes(picture.read_bytes())
    (folder / "broken.jpg").write_text("no image")
    return folder


def test_each_image_is_detected_once_and_a_second_run_goes_on(images, snapshot, tmp_path):
    pytest.importorskip("ray")
    found, few = tmp_path / "found", str(images / "0[0-4].jpg")

    def run(source):
        options = [snapshot, source, "--jsonl", found, "--ray", "local"]
        command = [sys.executable, "-c", DETECT, *map(str, options)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stderr
        return done.stdout

    assert "in 5 images" in run(few)
    printed = run(images)
    assert "in 6 images" in printed
    assert "1 images could" in printed
    assert "skipped 5 images" in printed
    files = list(found.glob("part-*.jsonl"))
    assert len(files) >= 4
    lines = [json.loads(line) for file in files for line in file.read_text().splitlines()]
    assert Counter(line["image"] for line in lines) == {str(each): 1 for each in images.iterdir()}
    assert [line["image"] for line in lines if "error" in line] == [str(images / "broken.jpg")]
    detect.main([str(snapshot), str(images), "--jsonl", str(tmp_path / "alone.jsonl")])
    alone = [json.loads(line) for line in (tmp_path / "alone.jsonl").read_text().splitlines()]
    expected = {line["image"]: len(line["detections"]) for line in alone}
    held = {line["image"]: len(line["detections"]) for line in lines if "detections" in line}
    assert held == expected
    assert "0 objects in 0 images" in run(images)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--csv", "found.csv"], "--jsonl DIR"),
        (["--jsonl", "-"], "--jsonl DIR"),
        (["--jsonl", "found", "--track"], "--jsonl DIR"),
    ],
)
def test_results_that_workers_cannot_share_are_refused(refuse, options, words):
    assert words in refuse(detect.main, "model.keras", "images", "--ray", "local", *options)
    assert "camera:0" in refuse(
        detect.main, "model.keras", "camera:0", "--ray", "local", "--jsonl", "found"
    )
