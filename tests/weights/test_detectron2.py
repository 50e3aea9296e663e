"""Detectron2's RetinaNets against what NumPy makes of the same tensors and images."""

import pickle

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from keras_retinanet.errors import InputError
from keras_retinanet.models import convert_model
from keras_retinanet.weights import detectron2

from . import ours, reference, reference_detections
from .reference_states import detectron2_names, draw

NAMES = detectron2_names()
THIN = {"depth": 18, "width": 32, "classes": 3, "spread": 60}  # a ResNet-18, narrow beyond
NETWORK = {"depth": 18, "classes": 3}
CELLS = "anchor_generator.cell_anchors"
SIDES = (64, 90)


@pytest.fixture(scope="module")
def thin():
    """(state dict, training model) of a thin network."""
    state = draw(NAMES, prior=-4.5, **THIN)
    return state, detectron2.load("thin.pth", tensors=state).model


def in_our_order(rows, anchors=9):
    """Rows (B, N, V) whose anchors of a place come by scale, then ratio: by ratio, then scale."""
    order = [3 * scale + ratio for ratio in range(3) for scale in range(3)]
    return rows.reshape(len(rows), -1, anchors, rows.shape[-1])[:, :, order].reshape(rows.shape)


def test_raw_outputs_are_those_of_numpy():
    state = draw(NAMES, classes=4, spread=60)
    model = detectron2.load("r50.pth", tensors=state).model
    for size in ((64, 64), (83, 64)):
        image = ours.picture(*size)
        pixels = reference_detections.prepared(image, **reference_detections.BGR)
        levels, _ = reference.raw(pixels, state, NAMES, stride_in="1x1")
        regression, logits = (np.concatenate(rows, axis=1) for rows in zip(*levels, strict=True))
        found = ours.raw(model, image)
        assert_allclose(found[0], in_our_order(regression), atol=1e-4)
        assert_allclose(found[1], reference.sigmoid(in_our_order(logits)), atol=1e-4)


def test_the_dialect(thin):
    options = thin[1].options
    assert options["anchors"]["offset"] == 0
    assert not options["anchors"]["rounded"]
    assert options["normalization"] == "detectron2"
    detection = convert_model(thin[1]).detection
    assert (detection["clip"], detection["max_detections"]) == ("after", 100)
    assert (detection["nms_threshold"], detection["score_threshold"]) == (0.5, 0.05)


@pytest.mark.parametrize(
    ("theirs", "options"),
    [({}, {}), ({"best": 20}, {"top_k": 20}), ({"clip": "before", "drop": 0}, {"clip": "before"})],
    ids=["as it is", "fewer candidates", "clipped before NMS"],
)
def test_detections_are_those_of_numpy(thin, theirs, options):
    state, model = thin
    images = [ours.picture(*size, seed) for seed, size in enumerate([(90, 64), (64, 101)])]
    every = ours.detections(model, images, SIDES, most=100, **options)
    for image, found in zip(images, every, strict=True):
        expected = reference_detections.detections(
            image, SIDES, "detectron2", state, NAMES, network=NETWORK, **theirs
        )
        assert 10 < len(expected[0]) < 100
        ours.agree(found, *expected)


def test_files(thin, write_pth, tmp_path):
    state, model = thin
    with open(tmp_path / "zoo.pkl", "wb") as file:
        pickle.dump({"model": state, "__author__": "Detectron2 Model Zoo"}, file)
    write_pth(tmp_path / "own.pth", {"model": state, "iteration": 89999})
    for path in ("zoo.pkl", "own.pth"):
        found = detectron2.load(tmp_path / path).model
        for new, old in zip(found.get_weights(), model.get_weights(), strict=True):
            assert_array_equal(new, old)


def test_cells_of_the_zoo_and_means_may_be_in_the_file(thin):
    state = {f"{CELLS}.{i}": cell for i, cell in enumerate(reference_detections.cells("scale"))}
    state["pixel_mean"] = np.float32([[[103.53]], [[116.28]], [[123.675]]])
    state["pixel_std"] = np.ones((3, 1, 1), "float32")
    model = detectron2.load("thin.pth", tensors={**thin[0], **state}).model
    assert model.options["anchors"] == thin[1].options["anchors"]


def cells_of(sizes, scales, ratios):
    """{name: (A, 4)} of cells in Detectron2's order."""
    cells = {}
    for level, size in enumerate(sizes):
        sides = [(size * s / r**0.5, size * s * r**0.5) for s in scales for r in ratios]
        cells[f"{CELLS}.{level}"] = np.hstack([np.negative(sides), sides]) / 2
    return cells


def test_other_cells_are_honoured(thin):
    state = dict(thin[0])
    for name, values in (("head.bbox_pred", 4), ("head.cls_score", 3)):
        for part in ("weight", "bias"):  # two scales of four ratios, in the place of nine anchors
            state[f"{name}.{part}"] = state[f"{name}.{part}"][: 8 * values]
    state |= cells_of([20, 40, 80, 160, 320], [1, 1.5], [0.25, 0.5, 1, 3])
    anchors = detectron2.load("thin.pth", tensors=state).model.anchor_params
    assert_allclose(anchors.sizes, [20, 40, 80, 160, 320], rtol=1e-5)
    assert_allclose(anchors.scales, [1, 1.5], rtol=1e-5)
    assert_allclose(anchors.ratios, [0.25, 0.5, 1, 3], rtol=1e-5)
    assert anchors.offset == 0


def refused(state):
    with pytest.raises(InputError) as error:
        detectron2.load("thin.pth", tensors=state)
    message = str(error.value)
    assert message.startswith("thin.pth: ")
    return message


@pytest.mark.parametrize(
    "change",
    [
        lambda cells: cells.pop(f"{CELLS}.3"),
        lambda cells: cells.update({f"{CELLS}.2": np.zeros((3, 4))}),
        lambda cells: cells.update({f"{CELLS}.2": np.zeros((9, 4))}),
        lambda cells: cells.update({f"{CELLS}.2": np.zeros(9)}),
        lambda cells: cells.update({f"{CELLS}.2": cells[f"{CELLS}.2"][::-1]}),
        lambda cells: cells.update({f"{CELLS}.0": cells[f"{CELLS}.0"] + 4}),
    ],
    ids=["a level less", "fewer", "empty", "of one axis", "in another order", "off the centre"],
)
def test_cells_of_no_scales_and_ratios_are_refused(thin, change):
    cells = cells_of([20, 40, 80, 160, 320], [1, 1.25, 1.5], [0.5, 1, 3])
    change(cells)
    assert f"{CELLS}.0 to 4 must hold" in refused({**thin[0], **cells})


def test_other_means_are_refused(thin):
    std = np.float32([57.375, 57.12, 58.395])
    message = refused({**thin[0], "pixel_std": std})
    assert message == ("thin.pth: pixel_std must be 1.0, 1.0, 1.0, got 57.375, 57.12, 58.395.")


def test_another_network_is_refused(thin):
    mask_rcnn = {name: value for name, value in thin[0].items() if name.startswith("backbone.bott")}
    mask_rcnn["roi_heads.box_predictor.cls_score.weight"] = np.zeros((3, 8), "float32")
    assert "it has no head.bbox_pred.weight but " in refused(mask_rcnn)
    assert "such as backbone.bottom_up.res2.0.conv1.weight, but no" in refused({})


def test_faults_are_named(thin):
    state = dict(thin[0])
    del state["backbone.bottom_up.stem.conv1.norm.running_var"]
    state["head.cls_subnet.1.weight"] = np.zeros(32, "float32")
    message = refused(state)
    assert "missing backbone.bottom_up.stem.conv1.norm.running_var; " in message
    assert "left over head.cls_subnet.1.weight." in message
