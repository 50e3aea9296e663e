"""benchmarks/train_step.py, without its measurements."""

import keras
import pytest

pytestmark = pytest.mark.core


@pytest.fixture(scope="module")
def benchmark(load_benchmark):
    return load_benchmark("train_step")


def test_flops_equal_a_count_by_hand(benchmark):
    inputs = keras.Input((None, None, 3))
    x = keras.layers.Conv2D(5, 3, 2, padding="same")(inputs)  # to 4 x 3 px
    shared = keras.Sequential([keras.Input((None, None, 5)), keras.layers.Conv2D(2, 1)])
    model = keras.Model(inputs, [shared(x), shared(keras.layers.ReLU()(x))])
    assert benchmark.forward_flops(model, (2, 8, 6, 3)) == 2 * 2 * (12 * 5 * 27 + 2 * 12 * 2 * 5)
    assert "compute_output_shape" not in vars(keras.layers.Conv2D)


def test_peak_is_of_the_data_sheet_or_of_the_cpu(benchmark):
    assert benchmark.peak_of("NVIDIA H100 80GB HBM3", "mixed_bfloat16", 1.0) == 989.4e12
    assert benchmark.peak_of("NVIDIA A100-SXM4-80GB", "float32", 1.0) == 156e12
    assert benchmark.peak_of("CPU", "float32", 1.0) == 1.0
    assert benchmark.peak_of("NVIDIA L40S", "float32", 1.0) is None


def test_report_compares_with_torchvision_of_the_same_precision(benchmark):
    values = {"device": "CPU", "memory": 2**31}
    rows = [
        {"row": "jax, float32", "seconds": 2.0, "images": 1.0, "share": 0.5, **values},
        {"row": "torchvision, float32", "seconds": 4.0, "images": 0.5, "share": 0.25, **values},
        {"row": "jax, mixed_bfloat16", "seconds": 1.0, "images": 2.0, "share": None, **values},
    ]
    text = benchmark.report({"flop": 5e11, "rows": rows})
    assert "500 GFLOP in a step" in text
    assert "| jax, float32 | CPU | 1.00 | 2.000 | 0.50 | 2.0 | 50% |" in text
    assert "| jax, mixed_bfloat16 | CPU | 2.00 | 1.000 |  | 2.0 |  |" in text
