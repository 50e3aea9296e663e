"""The routes: answers, refusals in one sentence, versions, the token, the figures."""

import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from keras_retinanet.serving.limits import Limits
from keras_retinanet.serving.models import Models, Running

from .conftest import encoded


def refused(answer, status):
    """Return the sentence of an answer that must be a refusal without inner details."""
    assert answer.status_code == status, answer.text
    assert list(answer.json()) == ["error"]
    sentence = answer.json()["error"]
    assert sentence.endswith(".")
    assert "Traceback" not in sentence
    assert "/" not in sentence
    return sentence


def test_detect_gives_boxes_in_pixels_of_image(serve, image):
    answer = serve().post("/detect", content=image)
    assert answer.status_code == 200
    body = answer.json()
    assert (body["model"], body["version"]) == ("pets", "1")
    assert (body["width"], body["height"]) == (64, 48)
    [cat] = body["detections"]  # the dog is below the threshold
    assert (cat["name"], cat["label"]) == ("cat", 0)
    assert cat["score"] == pytest.approx(0.9)
    # the padded input is 96 x 64 px, and 85 x 64 px of it are the image
    assert cat["box"] == pytest.approx([0, 0, 48 * 64 / 85, 48], abs=0.5)


def test_detect_takes_thresholds_and_forms(serve, image):
    client = serve()
    found = client.post("/detect?score_threshold=0.1", files={"image": image}).json()
    assert [each["name"] for each in found["detections"]] == ["cat", "dog"]
    found = client.post("/detect?score_threshold=0.1&max_detections=1", content=image).json()
    assert len(found["detections"]) == 1


def test_thresholds_in_the_model_hold_unless_others_are_given(serve, image, monkeypatch):
    start = Models.start

    def start_with_thresholds(self, path):
        [engine] = start(self, path)
        stored = replace(engine.info.postprocess, class_thresholds=(0.95, 0.25))
        engine.info = replace(engine.info, postprocess=stored)
        return [engine]

    monkeypatch.setattr(Models, "start", start_with_thresholds)
    client = serve()
    for query, names in (("", ["dog"]), ("?score_threshold=0.5", ["cat"])):
        found = client.post(f"/detect{query}", content=image).json()["detections"]
        assert [each["name"] for each in found] == names


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"not an image", 415),
        (encoded()[:80], 415),
        (b"\x89PNG\r\n\x1a\n" + bytes(100), 415),
    ],
)
def test_bodies_that_are_no_images(serve, body, status):
    refused(serve().post("/detect", content=body), status)


@pytest.mark.parametrize(
    ("query", "name"),
    [
        ("score_threshold=2", "score_threshold"),
        ("score_threshold=nan", "score_threshold"),
        ("max_detections=0", "max_detections"),
        ("version=-1", "version"),
        ("version=x", "version"),
    ],
)
def test_unusable_parameter_is_named(serve, image, query, name):
    assert name in refused(serve().post(f"/detect?{query}", content=image), 422)


def test_damaged_forms_are_refused(serve, image):
    client = serve()
    headers = {"Content-Type": "multipart/form-data; boundary=x"}
    refused(client.post("/detect", content=b"--x\r\nnonsense", headers=headers), 400)
    refused(
        client.post("/detect", content=b"", headers={"Content-Type": "multipart/form-data"}), 400
    )
    refused(client.post("/detect", files=[("a", image), ("b", image)]), 400)
    refused(client.post("/detect", data={"image": "text"}, files={}), 415)


def test_limits_have_a_sentence_each(serve, image):
    client = serve(limits=Limits(megabytes=0.01, megapixels=0.001, images=1))
    assert "MB" in refused(client.post("/detect", content=bytes(20_000)), 413)
    assert "megapixels" in refused(client.post("/detect", content=image), 413)

    def chunks():
        for _ in range(20):
            yield bytes(1000)

    assert "MB" in refused(client.post("/detect", content=chunks()), 413)
    body = {"instances": [[[[0, 0, 0]]], [[[0, 0, 0]]]]}
    assert "1 images" in refused(client.post("/v1/models/pets:predict", json=body), 413)


def test_wrong_paths_and_methods(serve):
    client = serve()
    refused(client.get("/nothing"), 404)
    refused(client.get("/detect"), 405)
    refused(client.post("/v1/models/other:predict", json={}), 404)
    refused(client.get("/v1/models/pets/versions/7"), 404)


def test_only_model_needs_no_name_and_several_do(serve, image):
    client = serve("pets", "birds")
    assert "birds" in refused(client.post("/detect", content=image), 400)
    assert client.post("/detect?model=birds", content=image).json()["model"] == "birds"
    assert sorted(client.get("/models").json()) == ["birds", "pets"]


def test_token_is_needed_everywhere_but_for_health(serve, image):
    client = serve(token="secret")
    for path in ("/metrics", "/models", "/v1/models/pets", "/openapi.json", "/nothing"):
        answer = client.get(path)
        refused(answer, 401)
        assert answer.headers["WWW-Authenticate"] == "Bearer"
    refused(client.post("/detect", content=image, headers={"Authorization": "Bearer no"}), 401)
    assert client.get("/healthz").status_code == client.get("/").status_code == 200
    right = {"Authorization": "Bearer secret"}
    assert client.post("/detect", content=image, headers=right).status_code == 200


def test_full_queue_answers_429_and_when_to_come_back(serve, started, image):
    client = serve(running=Running(batch=1, queue=2))
    started[0].hold = threading.Event()
    with ThreadPoolExecutor(8) as pool:
        answers = [pool.submit(client.post, "/detect", content=image) for _ in range(8)]
        while sum(answer.done() for answer in answers) < 5:  # one runs, two wait
            time.sleep(0.01)
        started[0].hold.set()
        statuses = sorted(answer.result().status_code for answer in answers)
    assert statuses == [200] * 3 + [429] * 5
    full = [answer.result() for answer in answers if answer.result().status_code == 429]
    assert all(int(answer.headers["Retry-After"]) >= 1 for answer in full)


def test_requests_at_a_time_share_batches(serve, started, image):
    client = serve(running=Running(batch=4, wait=0.2, queue=64))
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: client.post("/detect", content=image), range(8)))
    assert {answer.status_code for answer in answers} == {200}
    assert sum(started[0].batches) >= 8
    assert max(started[0].batches) == 4


def test_late_answer_is_refused(serve, started, image):
    client = serve(limits=Limits(seconds=0.3))
    started[0].hold = threading.Event()
    refused(client.post("/detect", content=image), 408)
    started[0].hold.set()
    assert client.post("/detect", content=image).status_code == 200


def test_failure_of_model_tells_nothing(serve, started, image, monkeypatch):
    client = serve()

    def fail(self, images):
        raise RuntimeError("secret /path")

    with monkeypatch.context() as patch:
        patch.setattr(type(started[0]), "__call__", fail)
        assert "secret" not in refused(client.post("/detect", content=image), 500)
    assert client.post("/detect", content=image).status_code == 200


# versions


def test_newest_versions_of_folder_are_served_and_reloaded(serve, started, image, tmp_path):
    folder = tmp_path / "models"
    for number in (1, 2, 10):
        (folder / str(number)).mkdir(parents=True)
        (folder / str(number) / "model.onnx").write_bytes(b"a model")
    (folder / "notes").mkdir()
    client = serve(paths={"pets": folder}, versions=2)
    assert sorted(int(engine.path.parent.name) for engine in started) == [2, 10]
    assert client.post("/detect", content=image).json()["version"] == "10"
    assert client.post("/detect?version=2", content=image).json()["version"] == "2"
    assert "10" in refused(client.post("/detect?version=1", content=image), 404)
    (folder / "11").mkdir()
    (folder / "11" / "model.onnx").write_bytes(b"a newer one")
    assert client.post("/reload").json() == {"models": {"pets": [10, 11]}}
    assert client.post("/detect", content=image).json()["version"] == "11"
    assert len(started) == 3  # the others were not loaded again


def test_changed_file_is_loaded_again_and_old_one_answers_what_waits(
    serve, started, image, tmp_path
):
    client = serve()
    started[0].hold = threading.Event()
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(client.post, "/detect", content=image)
        assert started[0].entered.wait(20)
        (tmp_path / "pets.onnx").write_bytes(b"another model")
        assert client.post("/reload").status_code == 200
        assert client.post("/detect", content=image).status_code == 200
        assert (len(started[1].batches), started[0].closed) == (1, False)
        started[0].hold.set()
        assert waiting.result().status_code == 200
    until = time.monotonic() + 5
    while not started[0].closed and time.monotonic() < until:
        time.sleep(0.01)
    assert started[0].closed


def test_version_that_cannot_be_loaded_leaves_old_one(serve, image, tmp_path):
    folder = tmp_path / "models"
    (folder / "1").mkdir(parents=True)
    (folder / "1" / "model.onnx").write_bytes(b"a model")
    client = serve(paths={"pets": folder})
    (folder / "2").mkdir()  # still empty
    refused(client.post("/reload"), 409)
    assert client.post("/detect", content=image).json()["version"] == "1"


# figures and documents


def test_metrics_count_answers_and_batches(serve, image):
    client = serve()
    client.post("/detect", content=image)
    client.post("/detect", content=b"x")
    lines = client.get("/metrics").text.splitlines()
    assert 'retinanet_requests_total{path="/detect",status="200"} 1.0' in lines
    assert 'retinanet_requests_total{path="/detect",status="415"} 1.0' in lines
    assert 'retinanet_batch_images_sum{model="pets"} 1.0' in lines
    assert 'retinanet_queue_images{model="pets"} 0.0' in lines


def test_document_describes_all_routes_with_examples(serve):
    document = serve().get("/openapi.json").json()
    assert {"/detect", "/v1/models/{name}:predict", "/healthz", "/readyz"} <= set(document["paths"])
    for path, methods in document["paths"].items():
        for method in methods.values():
            assert method["description"], path
            assert json.dumps(method["responses"]["200"]["content"])
