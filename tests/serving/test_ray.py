"""The deployment on a local Ray: the detector's answers, in batches."""

import pytest

pytestmark = pytest.mark.slow

ray = pytest.importorskip("ray")
serve = pytest.importorskip("ray.serve")


@pytest.fixture(scope="module")
def local_ray():
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
    serve.start(proxy_location="Disabled")  # calls go through handles, not through a port
    yield
    serve.shutdown()
    ray.shutdown()


def test_answers_are_those_of_the_detector_and_share_batches(local_ray, detector, sample):
    from keras_retinanet import Detector
    from keras_retinanet.serving.ray import application

    paths = [sample / "images" / "train" / f"{index:05d}.jpg" for index in range(4)]
    files = [path.read_bytes() for path in paths]
    handle = serve.run(application({"path": str(detector), "score_threshold": 0.1}))
    handle.detect.remote(files[0]).result(timeout_s=120)  # loaded
    waiting = [handle.detect.remote(file) for file in files * 4 + [b"no image"]]
    answers = [each.result(timeout_s=120) for each in waiting]
    assert "error" in answers[-1]
    expected = Detector.load(detector, score_threshold=0.1)(files)
    assert sum(map(len, expected)) > 4
    for answer, found in zip(answers, expected * 4, strict=False):
        assert [each["name"] for each in answer["detections"]] == found.names
        for each, box in zip(answer["detections"], found.boxes, strict=True):
            assert each["box"] == pytest.approx(box.tolist(), abs=0.01)
    assert max(handle.batch_sizes.remote().result(timeout_s=60)) > 1
