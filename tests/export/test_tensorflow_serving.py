"""The messages of TensorFlow Serving's clients, gRPC and REST, answered from the SavedModel.

A small server stands for TensorFlow's: it knows nothing but the messages and the signatures.
"""

import base64
import concurrent.futures
import json

import keras
import numpy as np
import pytest

from keras_retinanet import Detector
from keras_retinanet.bin import convert_model

if keras.backend.backend() != "tensorflow":
    pytest.skip("a SavedModel is TensorFlow's", allow_module_level=True)
grpc = pytest.importorskip("grpc")
tf = pytest.importorskip("tensorflow")
predict_pb2 = pytest.importorskip("tensorflow_serving.apis.predict_pb2")
service = pytest.importorskip("tensorflow_serving.apis.prediction_service_pb2_grpc")

NAMES = ("boxes", "scores", "labels")
pytestmark = pytest.mark.slow


class Server(service.PredictionServiceServicer):
    """Runs the signatures of a SavedModel."""

    def __init__(self, folder):
        self.loaded = tf.saved_model.load(folder)

    def run(self, signature, values):
        return self.loaded.signatures[signature](**values)

    def Predict(self, request, context):
        values = {name: tf.constant(tf.make_ndarray(each)) for name, each in request.inputs.items()}
        found = self.run(request.model_spec.signature_name or "serving_default", values)
        answer = predict_pb2.PredictResponse()
        for name, value in found.items():
            answer.outputs[name].CopyFrom(tf.make_tensor_proto(value.numpy()))
        return answer

    def rest(self, text):
        """Answer a body {"signature_name", "instances"} as documented for TensorFlow Serving."""
        body = json.loads(text)
        signature = body.get("signature_name", "serving_default")
        rows = body["instances"]
        if isinstance(rows[0], dict):
            rows = [base64.b64decode(row["b64"]) for row in rows]
        spec = self.loaded.signatures[signature].structured_input_signature[1]["images"]
        found = self.run(signature, {"images": tf.constant(rows, spec.dtype)})
        arrays = {name: value.numpy().tolist() for name, value in found.items()}
        rows = [dict(zip(arrays, each, strict=True)) for each in zip(*arrays.values(), strict=True)]
        return json.dumps({"predictions": rows})


@pytest.fixture(scope="module")
def server(detector, tmp_path_factory):
    folder = tmp_path_factory.mktemp("serving") / "1"
    convert_model.main([str(detector), str(folder), "--no-verify"])
    return Server(str(folder))


@pytest.fixture(scope="module")
def stub(server):
    """A client of the gRPC interface."""
    running = grpc.server(concurrent.futures.ThreadPoolExecutor(1))
    service.add_PredictionServiceServicer_to_server(server, running)
    port = running.add_insecure_port("localhost:0")
    running.start()
    with grpc.insecure_channel(f"localhost:{port}") as channel:
        yield service.PredictionServiceStub(channel)
    running.stop(None)


@pytest.fixture(scope="module")
def files(sample):
    paths = [sample / "images" / "train" / f"{index:05d}.jpg" for index in range(2)]
    return [path.read_bytes() for path in paths]


@pytest.fixture(scope="module")
def expected(detector, files):
    return Detector.load(detector, score_threshold=0.3)(files)


def check(expected, answers):
    """Compare detections with {"boxes", "scores", "labels"} of each image."""
    for found, answer in zip(expected, answers, strict=True):
        sure = np.asarray(answer["scores"]) > 0.3
        assert len(found) == sure.sum() > 0
        # TensorFlow's and Pillow's decoders differ by a few grey levels
        np.testing.assert_allclose(np.asarray(answer["boxes"])[sure], found.boxes, atol=0.5)
        np.testing.assert_allclose(np.asarray(answer["scores"])[sure], found.scores, atol=0.02)
        np.testing.assert_array_equal(np.asarray(answer["labels"])[sure], found.labels)


def test_encoded_images_over_grpc(stub, files, expected):
    request = predict_pb2.PredictRequest()
    request.model_spec.name, request.model_spec.signature_name = "detector", "serving_bytes"
    request.inputs["images"].CopyFrom(tf.make_tensor_proto(files))
    answer = stub.Predict(request, timeout=60)
    arrays = [tf.make_ndarray(answer.outputs[name]) for name in NAMES]
    check(expected, [dict(zip(NAMES, each, strict=True)) for each in zip(*arrays, strict=True)])


def test_pixels_over_grpc(stub, files, expected):
    pixels = np.stack([tf.io.decode_jpeg(file).numpy() for file in files]).astype("float32")
    request = predict_pb2.PredictRequest()
    request.inputs["images"].CopyFrom(tf.make_tensor_proto(pixels))
    answer = stub.Predict(request, timeout=60)
    arrays = [tf.make_ndarray(answer.outputs[name]) for name in NAMES]
    check(expected, [dict(zip(NAMES, each, strict=True)) for each in zip(*arrays, strict=True)])


def test_rest_bodies(server, files, expected):
    encoded = [{"b64": base64.b64encode(file).decode()} for file in files]
    body = {"signature_name": "serving_bytes", "instances": encoded}
    check(expected, json.loads(server.rest(json.dumps(body)))["predictions"])
    pixels = [tf.io.decode_jpeg(file).numpy().tolist() for file in files]
    answer = server.rest(json.dumps({"instances": pixels}))
    check(expected, json.loads(answer)["predictions"])
