"""The deployment on a local Ray: the detector's answers, in batches."""

import json
import subprocess
import sys

import pytest

pytestmark = pytest.mark.slow

# In a process of its own: Ray forks, which can hang where other tests have left threads.
SERVE = """
import json, sys
import ray
from ray import serve
from keras_retinanet.serving.ray import application

detector, *paths = sys.argv[1:]
files = [open(path, "rb").read() for path in paths]
ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
serve.start(proxy_location="Disabled")  # calls go through handles, not through a port
handle = serve.run(application({"path": detector, "score_threshold": 0.1}))
handle.detect.remote(files[0]).result(timeout_s=120)  # loaded
waiting = [handle.detect.remote(file) for file in files * 4 + [b"no image"]]
answers = [each.result(timeout_s=120) for each in waiting]
largest = max(handle.batch_sizes.remote().result(timeout_s=60))
print(json.dumps({"answers": answers, "largest": largest}))
"""


def test_answers_are_those_of_the_detector_and_share_batches(detector, sample):
    pytest.importorskip("ray.serve")
    from keras_retinanet import Detector

    paths = [sample / "images" / "train" / f"{index:05d}.jpg" for index in range(4)]
    command = [sys.executable, "-c", SERVE, *map(str, [detector, *paths])]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    served = json.loads(done.stdout.splitlines()[-1])
    answers = served["answers"]
    assert "error" in answers[-1]
    expected = Detector.load(detector, score_threshold=0.1)(paths)
    assert sum(map(len, expected)) > 4
    for answer, found in zip(answers, expected * 4, strict=False):
        assert [each["name"] for each in answer["detections"]] == found.names
        for each, box in zip(answer["detections"], found.boxes, strict=True):
            assert each["box"] == pytest.approx(box.tolist(), abs=0.01)
    assert served["largest"] > 1
