"""benchmarks/inference.py, without its measurements."""

import keras
import pytest


@pytest.fixture(scope="module")
def benchmark(load_benchmark):
    return load_benchmark("inference")


def test_interleaved_gives_medians_without_the_first_two_rounds(benchmark):
    order = []

    def call(name, values):
        values = iter(values)

        def run():
            order.append(name)
            return next(values)

        return run

    calls = {"a": call("a", [9, 9, 1, 3, 2]), "b": call("b", [0, 0, 5, 5, 4])}
    assert benchmark.interleaved(calls, 3) == {"a": 2, "b": 5}
    assert order == ["a", "b"] * 5


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="counts TensorFlow's graph")
def test_multiplications_equal_a_count_by_hand(benchmark):
    import tensorflow as tf

    @tf.function(input_signature=[tf.TensorSpec((1, 8, 6, 3))])
    def run(images):
        return tf.nn.conv2d(images, tf.zeros((3, 3, 3, 5)), 2, "SAME")  # to 4 x 3 px

    graph = run.get_concrete_function().graph
    [convolution] = [each for each in graph.get_operations() if each.type == "Conv2D"]
    assert benchmark.multiplications(convolution) == 4 * 3 * 5 * 9 * 3


def test_report_compares_with_torchvision_and_the_matrix_product(benchmark):
    figures = {
        "machine": {"processor": "P", "threads": 2, "instructions": ["avx2"]},
        "seconds": {"ONNX Runtime": 0.5, "torchvision": 1.0},
        "left_out": {"OpenVINO, bfloat16": "no bfloat16"},
        "matrix_gflops": 300.0,
        "gflop": 120.0,
        "decoding_seconds": 0.02,
        "nms_seconds": {1000: 0.005},
        "decoding_and_nms_share": {1000: 0.05},
    }
    text = benchmark.report(figures)
    assert "P, 2 threads, avx2" in text
    assert "| ONNX Runtime | 0.500 | 0.50 |" in text
    assert "| OpenVINO, bfloat16 | | no bfloat16 |" in text
    assert "80% of it" in text  # 120 GFLOP in 0.5 s are 240 of 300 GFLOP/s
    assert "1000 candidates: decoding 20.0 ms and NMS 5.0 ms, 5.0%" in text
