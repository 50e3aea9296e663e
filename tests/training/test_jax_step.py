"""The step that JAX compiles: what its graph holds, and how often it is compiled."""

import re

import keras
import numpy as np
import pytest
from keras import ops

from keras_retinanet import losses
from keras_retinanet.models import RetinaNet, backbone
from keras_retinanet.models.norms import batch
from keras_retinanet.models.precision import set_precision
from keras_retinanet.optimizers import SGD
from keras_retinanet.parts import Design, Heads, Pyramid
from keras_retinanet.preprocessing.collate import Anchoring
from keras_retinanet.preprocessing.dataset import Dataset, make_record
from keras_retinanet.preprocessing.epochs import Batching
from keras_retinanet.preprocessing.examples import Sizing
from keras_retinanet.preprocessing.loader import Loader
from keras_retinanet.utils.anchors import anchors_for_shape

pytestmark = [
    pytest.mark.core,
    pytest.mark.skipif(keras.config.backend() != "jax", reason="the graph of JAX"),
]
CLASSES = 11
SIDES = (64, 96)


def make_model(class_loss, precision=None):
    design = Design(Pyramid(width=8), Heads(depth=1))
    model = backbone("resnet10_0.25").detector([f"{i}" for i in range(CLASSES)], design=design)
    if precision:
        set_precision(model, precision)
    model.compile(SGD(0.01), {"regression": losses.smooth_l1(), "classification": class_loss})
    return model


def lowered_step(model):
    """Return the lowered step on two images, one without boxes, and their number of anchors."""
    import jax

    count = len(anchors_for_shape(SIDES))
    matches = np.full((2, count), -1, "int32")
    matches[0, ::9], matches[0, 1::9] = 0, -2
    y = {"boxes": np.full((2, 1, 4), 8, "float32"), "labels": np.ones((2, 1), "int32")}
    y["boxes"][..., 2:] = 40
    y["matches"] = matches
    x = np.zeros((2, *SIDES, 3), "uint8")
    model._symbolic_build(data_batch=(x, y))
    model.optimizer.build(model.trainable_variables)
    held = (
        model.trainable_variables,
        model.non_trainable_variables,
        model.optimizer.variables,
        model.metrics_variables,
    )
    state = tuple([variable.value for variable in each] for each in held)
    return jax.jit(model.train_step).lower(state, (x, y)), count


def ranked(y_true, y_pred):
    """Compare sorted labels, which no compiler makes without the array of all labels."""
    return ops.sum(ops.sort(y_true, axis=1)[..., :-1] * y_pred)


@pytest.mark.slow
def test_step_holds_no_array_of_dense_labels():
    def holds_labels(class_loss):
        lowered, count = lowered_step(make_model(class_loss))
        shape = rf"\[2,{count},{CLASSES + 1}\]"
        return re.search(shape, lowered.compile().as_text()) is not None

    assert not holds_labels(losses.focal(from_logits=True))
    assert holds_labels(ranked)


def test_frozen_batch_norm_is_one_multiplication_and_one_addition():
    import jax

    norm = batch(6, "norm")
    norm.build((None, None, None, 6))
    norm.trainable = False
    x = np.random.default_rng(0).normal(size=(2, 5, 7, 6)).astype("float32")

    def operations():
        """Return the operations on arrays of x's shape, and the number of those that read x."""
        graph = jax.make_jaxpr(lambda x: norm(x, training=True))(x)
        names = [e.primitive.name for e in graph.eqns if e.outvars[0].aval.shape == x.shape]
        return names, sum(graph.jaxpr.invars[0] in each.invars for each in graph.eqns)

    assert operations() == (["mul", "add"], 1)
    norm.trainable = True  # now x is read for its mean and variance too
    assert operations()[1] > 1


def test_all_convolutions_of_a_mixed_step_are_in_its_type():
    graph = lowered_step(make_model(losses.focal(from_logits=True), "mixed_bfloat16"))[0].as_text()
    results = re.findall(r"stablehlo\.convolution.* -> tensor<([^>]*)>", graph)
    classes = [result for result in results if f"x{9 * CLASSES}x" in result]  # of 9 anchors
    assert len(classes) >= 5  # levels
    assert {result.rpartition("x")[2] for result in results} == {"bf16"}
    assert re.search(rf"tensor<2x\d+x{CLASSES}xf32>", graph)  # the loss's logits


@pytest.mark.slow
def test_images_of_many_sizes_compile_at_most_4_steps(tmp_path, monkeypatch):
    cv2 = pytest.importorskip("cv2")
    records = []
    for index, size in enumerate(np.random.default_rng(0).integers(40, 160, (24, 2)).tolist()):
        path = str(tmp_path / f"{index}.png")
        cv2.imwrite(path, np.zeros((*size[::-1], 3), "uint8"))
        records.append(make_record(path, index, [[4, 4, 30, 30]], [0], size=tuple(size)))
    dataset = Dataset(records, [f"{i}" for i in range(CLASSES)], list(range(CLASSES)))
    loader = Loader(dataset, Sizing(None), Anchoring(), Batching(batch_size=2))
    model = make_model(losses.focal(from_logits=True))
    traced = []
    compute = RetinaNet.compute_loss

    def counted(self, x, *args, **kwargs):
        traced.append(tuple(x.shape))
        return compute(self, x, *args, **kwargs)

    monkeypatch.setattr(RetinaNet, "compute_loss", counted)
    model.fit(loader.stream(), steps_per_epoch=len(loader), epochs=2, shuffle=False, verbose=0)
    assert 1 < len(set(traced)) <= 4
    assert len(traced) <= len(set(traced)) + 1  # Keras traces the first one twice
