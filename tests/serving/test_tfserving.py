"""Requests and answers of TensorFlow Serving's REST interface."""

import base64

import numpy as np
import pytest

from keras_retinanet.serving import tfserving
from keras_retinanet.serving.limits import Limits, Refused

from .conftest import encoded
from .test_app import refused

PIXELS = np.full((64, 96, 3), 7)
B64 = {"b64": base64.b64encode(encoded((96, 64))).decode()}


@pytest.mark.parametrize("columns", [False, True])
@pytest.mark.parametrize(
    "values",
    [
        [PIXELS.tolist()],
        [{"images": PIXELS.tolist()}],
        [B64, B64],
        [{"images": B64}],
    ],
)
def test_predict_answers_as_a_saved_model(serve, values, columns):
    client = serve()
    body = {"inputs" if columns else "instances": values}
    answer = client.post("/v1/models/pets:predict", json=body).json()
    if columns:
        found = answer["outputs"]
    else:
        rows = answer["predictions"]
        found = {name: [row[name] for row in rows] for name in rows[0]}
    count = len(values)
    np.testing.assert_allclose(found["scores"], [[0.9, 0.3, -1, -1]] * count, rtol=1e-6)
    assert found["labels"] == [[0, 1, -1, -1]] * count
    boxes = [[0, 0, 48, 64], [48, 0, 96, 64], [-1] * 4, [-1] * 4]
    np.testing.assert_allclose(found["boxes"], [boxes] * count, atol=1e-4)


def test_named_input_in_columns(serve):
    body = {"signature_name": "serving_bytes", "inputs": {"images": [B64]}}
    answer = serve().post("/v1/models/pets/versions/1:predict", json=body)
    assert answer.json()["outputs"]["labels"] == [[0, 1, -1, -1]]


@pytest.mark.parametrize(
    "body",
    [
        [],
        "text",
        {},
        {"instances": []},
        {"instances": 7},
        {"instances": [7]},
        {"instances": [None]},
        {"instances": [[]]},
        {"instances": [[[[1, 2]]]]},
        {"instances": [[[[1, 2, 3]], [[1, 2, 3], [1, 2, 3]]]]},
        {"instances": [[[[1, 2, "a"]]]]},
        {"instances": [[[[1, 2, 256]]]]},
        {"instances": [[[[1, 2, 1e400]]]]},
        {"instances": [[[[1, 2, 10**400]]]]},
        {"instances": [{"b64": 7}]},
        {"instances": [{"b64": "not base64!"}]},
        {"instances": [{"b64": ""}]},
        {"instances": [{"other": []}]},
        {"instances": [[[[0, 0, 0]]]], "inputs": [[[[0, 0, 0]]]]},
        {"inputs": {"picture": [[[[0, 0, 0]]]]}},
        {"instances": [[[[0, 0, 0]]]], "signature_name": "other"},
        {"instances": [[[[0, 0, 0]]]], "signature_name": ["serving_default"]},
    ],
)
def test_bodies_that_are_no_requests(body):
    with pytest.raises(Refused) as error:
        tfserving.images_of(body, Limits())
    assert error.value.status == 400
    assert error.value.sentence.endswith(".")


@pytest.mark.parametrize(
    "text", [b"{", b"\xff\xfe", b"[" * 100_000, b'{"instances": [' + b"[" * 50_000]
)
def test_damaged_and_deep_json_is_refused(serve, text):
    refused(serve().post("/v1/models/pets:predict", content=text), 400)


def test_status_and_metadata(serve):
    client = serve()
    status = client.get("/v1/models/pets").json()
    assert status == client.get("/v1/models/pets/versions/1").json()
    [version] = status["model_version_status"]
    assert (version["version"], version["state"]) == ("1", "AVAILABLE")
    body = client.get("/v1/models/pets/metadata").json()
    assert body == client.get("/v1/models/pets/versions/1/metadata").json()
    signatures = body["metadata"]["signature_def"]["signature_def"]
    assert set(signatures) == {"serving_default", "serving_uint8", "serving_bytes"}
    shape = signatures["serving_default"]["outputs"]["boxes"]["tensor_shape"]["dim"]
    assert [side["size"] for side in shape] == ["-1", "4", "4"]
