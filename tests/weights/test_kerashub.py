"""KerasHub's presets: written by hand against NumPy, and by KerasHub where it is installed."""

import json
from functools import partial

import h5py
import keras
import numpy as np
import pytest
from numpy.testing import assert_allclose

from keras_retinanet.errors import InputError
from keras_retinanet.models import backbone, convert_model
from keras_retinanet.parts import Design, Inputs, Pyramid
from keras_retinanet.weights.coco import coco_91
from keras_retinanet.weights.kerashub import convolutions_of, inputs_of, load, weight_map

from . import ours, reference
from .reference_states import draw, torchvision_names

CLASSES = 3
MEAN, STD = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
SIDE = 160  # of the images


# presets


def wrapped(kind, **config):
    return {"module": "keras_hub", "class_name": kind, "config": config, "registered_name": kind}


def task(use_p5=False, norm=False, **decoder):
    """Return the part of a KerasHub task.json that the import needs."""
    encoder = wrapped(
        "ResNetBackbone",
        input_conv_filters=[64],
        input_conv_kernel_sizes=[7],
        stackwise_num_filters=[64, 128, 256, 512],
        stackwise_num_blocks=[2, 2, 2, 2],
        stackwise_num_strides=[1, 2, 2, 2],
        block_type="basic_block",
        use_pre_activation=False,
    )
    pyramid = wrapped(
        "RetinaNetBackbone",
        image_encoder=encoder,
        min_level=3,
        max_level=7,
        use_p5=use_p5,
        use_fpn_batch_norm=False,
    )
    converter = wrapped(
        "RetinaNetImageConverter",
        image_size=[SIDE, SIDE],
        scale=(1 / 255 / STD).tolist(),
        offset=(-MEAN / STD).tolist(),
        interpolation="bilinear",
        antialias=False,
        crop_to_aspect_ratio=False,
        pad_to_aspect_ratio=True,
    )
    anchors = {"min_level": 3, "max_level": 7, "num_scales": 3, "aspect_ratios": [0.5, 1.0, 2.0]}
    limits = {"iou_threshold": 0.5, "confidence_threshold": 0.5, "max_detections": 100}
    return wrapped(
        "RetinaNetObjectDetector",
        backbone=pyramid,
        preprocessor=wrapped("RetinaNetObjectDetectorPreprocessor", image_converter=converter),
        num_classes=CLASSES,
        use_prediction_head_norm=norm,
        pre_logits_num_conv_layers=4,
        anchor_generator=wrapped("AnchorGenerator", anchor_size=4, **anchors),
        prediction_decoder=wrapped("NonMaxSuppression", from_logits=True, **{**limits, **decoder}),
    )


def numbered(place, kind, rows):
    """{path in the file: array} of a kind of layers, whose weights are `rows`."""
    return {
        f"{place}/{kind}{f'_{i}' if i else ''}/vars/{j}": value
        for i, row in enumerate(rows)
        for j, value in enumerate(row)
    }


def conv(state, name):
    kernel = state[f"{name}.weight"].transpose(2, 3, 1, 0)
    return [kernel, state[f"{name}.bias"]] if f"{name}.bias" in state else [kernel]


def norm(state, name):
    parts = ("weight", "bias", "running_mean", "running_var")
    return [state[f"{name}.{part}"] for part in parts if f"{name}.{part}" in state]


def files(state, names):
    """The tensors of model.weights.h5 and of task.weights.h5 of a state dict of a ResNet-18."""
    pairs = [names["stem"]]
    for stage in (1, 2, 3, 4):
        for block in (0, 1):
            place = {"stage": stage, "block": block}
            first, last = (
                (names["conv"].format(**place, i=i), names["norm"].format(**place, i=i))
                for i in (1, 2)
            )
            shortcut = [tuple(name.format(**place) for name in names["shortcut"])]
            pairs += [first, *(shortcut if stage > 1 and block == 0 else []), last]
    encoder, pyramid = "layers/functional/layers", "layers/feature_pyramid"
    outputs = [*names["output"], names["P6"], names["P7"]]
    model = {
        **numbered(encoder, "conv2d", [conv(state, name) for name, _ in pairs]),
        **numbered(encoder, "batch_normalization", [norm(state, name) for _, name in pairs]),
        **numbered(
            f"{pyramid}/lateral_conv_layers", "conv2d", [conv(state, n) for n in names["lateral"]]
        ),
        **numbered(f"{pyramid}/output_conv_layers", "conv2d", [conv(state, n) for n in outputs]),
    }
    heads = {"optimizer/vars/0": np.float32(0)}
    for output, head in (
        ("regression", "prediction_head"),
        ("classification", "prediction_head_1"),
    ):
        place, own = f"layers/{head}", names[output]
        norms = [norm(state, n) for n in own["norms"] if n]
        heads |= numbered(f"{place}/conv_layers", "conv2d", [conv(state, n) for n in own["convs"]])
        heads |= numbered(f"{place}/group_norm_layers", "group_normalization", norms)
        heads |= numbered(place, "prediction_layer", [conv(state, own["last"])])
    return model, heads


def write(folder, config, model=None, heads=None):
    folder.mkdir(exist_ok=True)
    (folder / "task.json").write_text(json.dumps(config))
    for name, tensors in (("model", model), ("task", heads)):
        if tensors is not None:
            with h5py.File(folder / f"{name}.weights.h5", "w") as file:
                for place, value in tensors.items():
                    file[place] = value
    return folder


@pytest.mark.parametrize("version", ["first", "second"])
def test_raw_outputs_are_those_of_numpy(version, tmp_path, monkeypatch):
    second = version == "second"
    epsilon = partial(reference.group_norm, epsilon=1e-3)
    monkeypatch.setattr(reference, "group_norm", epsilon)
    names = torchvision_names(second)
    size = {"depth": 18, "classes": CLASSES, "p6_from": "C5" if second else "P5"}
    state = draw(names, **size)
    config = task(use_p5=second, norm=second)
    model = load(write(tmp_path / "preset", config, *files(state, names))).model
    image = ours.picture(160, 32)  # C5 is 5 x 1, P6 3 x 1: padding of odd sides is symmetric
    pixels = ((image / 255 - MEAN) / STD).transpose(2, 0, 1)[None].astype("float32")
    levels, _ = reference.raw(pixels, state, names, depth=18, classes=CLASSES)
    regression, scores = ours.raw(model, image)
    rows, logits = (np.concatenate(parts, axis=1) for parts in zip(*levels, strict=True))
    assert_allclose(regression, rows, atol=1e-4)
    assert_allclose(scores, reference.sigmoid(logits), atol=1e-4)


def test_the_dialect(tmp_path):
    names = torchvision_names()
    state = draw(names, depth=18, classes=91, p6_from="P5")
    config = task(iou_threshold=0.4, confidence_threshold=0.2, max_detections=30)
    config["config"]["num_classes"] = 91
    model = load(write(tmp_path / "preset", config, *files(state, names))).model
    assert model.class_names == coco_91()
    options = model.options
    assert options["normalization"] == "torch"
    assert (options["resize"], options["canvases"]) == ("kerashub", "own")
    assert (options["image_min_side"], options["image_max_side"]) == (SIDE, SIDE)
    anchors = options["anchors"]
    assert anchors["sizes"] == [32, 64, 128, 256, 512]
    assert (anchors["offset"], anchors["rounded"], anchors["fitted_strides"]) == (0, True, True)
    assert convert_model(model).detection == {
        "nms": "hard",
        "class_specific_filter": False,
        "nms_threshold": 0.4,
        "score_threshold": 0.2,
        "max_detections": 30,
        "top_k": None,
        "clip": "after",
        "class_thresholds": None,
    }


@pytest.mark.parametrize(
    ("converter", "normalization", "factors"),
    [
        ({}, "torch", (1, 1, 1)),
        ({"scale": None, "offset": None}, "raw", (1, 1, 1)),
        ({"scale": 1 / 255, "offset": None}, "raw", (1 / 255, 1 / 255, 1 / 255)),
        ({"scale": 1 / 127.5, "offset": -1}, "tf", (1, 1, 1)),
        ({"scale": [1, 2, 4], "offset": [-128, -256, -512]}, "efficientnetv2", (128, 256, 512)),
    ],
)
def test_normalization(converter, normalization, factors):
    config = task()["config"]
    config["preprocessor"]["config"]["image_converter"]["config"] |= converter
    options, found = inputs_of(config)
    assert options.normalization == normalization
    assert_allclose(found, factors, rtol=1e-6)


def test_images_that_no_preprocessor_resizes():
    config = task()["config"]
    config["preprocessor"]["config"]["image_converter"]["config"]["image_size"] = None
    assert inputs_of(config)[0] == Inputs(
        normalization="torch", image_min_side=None, image_max_side=None, canvases="own"
    )
    config["preprocessor"] = None
    assert inputs_of(config)[0].normalization == "raw"


def test_a_first_kernel_takes_what_the_normalization_leaves():
    model = backbone("resnet10_0.25").detector(["a"], design=Design(Pyramid(width=8)))
    kernel = np.ones((7, 7, 3, 64), "float32")
    scaled = weight_map(model, np.array([1, 2, 3]))[0].convert(kernel)
    assert_allclose(scaled[3, 3, :, 5], [1, 2, 3])


def test_the_order_of_a_bottleneck():
    network = backbone("resnet50v1.5").network(keras.Input((None, None, 3)))
    names = convolutions_of(network)
    blocks = [f"conv2_block1_{i}" for i in (1, 2, 0, 3)] + [f"conv2_block2_{i}" for i in (1, 2, 3)]
    assert names[:8] == ["conv1", *blocks]
    assert len(names) == 53


# presets that are something else

ENCODER = ("backbone", "config", "image_encoder")
PYRAMID = ("backbone", "config")
CONVERTER = ("preprocessor", "config", "image_converter", "config")


@pytest.mark.parametrize(
    ("place", "changes", "message"),
    [
        (ENCODER, {"class_name": "DenseNetBackbone"}, "got 'DenseNetBackbone'"),
        ((*ENCODER, "config"), {"block_type": "basic_block_vd"}, "block_type 'basic_block_vd'"),
        ((*ENCODER, "config"), {"use_pre_activation": True}, "use_pre_activation True"),
        ((*ENCODER, "config"), {"stackwise_num_blocks": [1, 1, 1, 1]}, r"\[1, 1, 1, 1\]"),
        (PYRAMID, {"use_fpn_batch_norm": True}, "use_fpn_batch_norm"),
        (PYRAMID, {"max_level": 8}, "max_level must be .* got 8"),
        (PYRAMID, {"min_level": 4}, "levels 4 to 7"),
        (CONVERTER, {"offset": -3.0}, "the means of one of raw, tf, "),
        (CONVERTER, {"scale": 0.0, "offset": 0.0}, "do not subtract the means"),
        (CONVERTER, {"pad_to_aspect_ratio": False}, "pad_to_aspect_ratio must be True, got False"),
        (CONVERTER, {"antialias": True}, "antialias must be False, got True"),
        (("prediction_decoder", "config"), {"from_logits": False}, "from_logits"),
        (("anchor_generator", "config"), {"aspect_ratios": ["a"]}, "not as KerasHub writes it"),
        (("anchor_generator",), {"config": {}}, "num_scales' is missing"),
        (("backbone",), {"config": None}, "config must be an object, got None"),
    ],
)
def test_what_is_refused(place, changes, message, tmp_path):
    config = task()
    part = config["config"]
    for name in place:
        part = part[name]
    part |= changes
    with pytest.raises(InputError, match=rf"preset/task\.json: .*{message}"):
        load(write(tmp_path / "preset", config))


NONSENSE = ["a", -1, 0, 1e12, 10**12, 10**30, float("inf"), float("nan"), [], {}, None, True]


@pytest.mark.parametrize(
    ("place", "name"),
    [
        ((), "num_classes"),
        ((), "pre_logits_num_conv_layers"),
        (("anchor_generator", "config"), "num_scales"),
        (("anchor_generator", "config"), "aspect_ratios"),
        (("anchor_generator", "config"), "anchor_size"),
        (PYRAMID, "min_level"),
        (PYRAMID, "max_level"),
        (("prediction_decoder", "config"), "max_detections"),
        (("prediction_decoder", "config"), "iou_threshold"),
        (CONVERTER, "image_size"),
        (CONVERTER, "scale"),
    ],
)
def test_nonsense_in_the_configuration_is_refused(place, name, tmp_path):
    sensible = {  # values of NONSENSE that mean something
        "pre_logits_num_conv_layers": [0],
        "iou_threshold": [0],
        "image_size": [None],
        "scale": [None],
    }
    for value in NONSENSE:
        if any(value is each for each in sensible.get(name, ())):
            continue
        config = task()
        part = config["config"]
        for each in place:
            part = part[each]
        part[name] = value
        with pytest.raises(InputError) as refused:  # before any weights are looked for
            load(write(tmp_path / "preset", config))
        assert "task.json: " in str(refused.value), (value, refused.value)
        assert len(str(refused.value)) < 400


def test_more_classes_than_the_weights_have_are_refused_before_a_model_is_built(tmp_path):
    names = torchvision_names()
    state = draw(names, depth=18, classes=CLASSES, p6_from="P5")
    config = task()
    config["config"]["num_classes"] = 1_000_000
    with pytest.raises(InputError, match=r"9000000 scores per location, but .* has 27"):
        load(write(tmp_path / "preset", config, *files(state, names)))


@pytest.mark.parametrize("content", ["null", "[]", "3", '"a"', "{}", '{"config": {}}', "NaN"])
def test_a_task_that_is_no_object_is_refused(content, tmp_path):
    (tmp_path / "task.json").write_text(content)
    with pytest.raises(InputError, match=r"task\.json: task must be a RetinaNetObjectDetector"):
        load(tmp_path)


def test_a_task_without_a_config_is_refused(tmp_path):
    config = task()
    del config["config"]
    with pytest.raises(InputError, match=r"task\.json: 'config' is missing"):
        load(write(tmp_path / "preset", config))


def test_what_is_no_preset(tmp_path):
    with pytest.raises(InputError, match=r"nowhere/task\.json: no such file"):
        load(tmp_path / "nowhere")
    folder = write(tmp_path / "preset", task())
    with pytest.raises(InputError, match=r"model\.weights\.h5: no such file"):
        load(folder)
    with pytest.raises(InputError, match="the backbone is resnet18, not resnet50"):
        load(folder, backbone="resnet50")
    (folder / "task.json").write_text("{")
    with pytest.raises(InputError, match=r"task\.json: not JSON"):
        load(folder)
    write(folder, wrapped("ImageClassifier"))
    with pytest.raises(InputError, match="task must be a RetinaNetObjectDetector"):
        load(folder)
    (folder / "task.json").unlink()
    with pytest.raises(InputError, match=r"task\.json: no such file"):
        load(folder)


def test_every_tensor_is_named(tmp_path):
    names = torchvision_names()
    model, heads = files(draw(names, depth=18, classes=CLASSES, p6_from="P5"), names)
    del heads["layers/prediction_head/prediction_layer/vars/1"]
    model["layers/extra/vars/0"] = np.zeros(3)
    with pytest.raises(InputError) as error:
        load(write(tmp_path / "preset", task(), model, heads))
    missing = "missing task.weights.h5/layers/prediction_head/prediction_layer/vars/1"
    for part in (missing, "left over model.weights.h5/layers/extra/vars/0"):
        assert part in str(error.value)


# KerasHub itself


@pytest.fixture(scope="module")
def hub():
    return pytest.importorskip("keras_hub")


def of_hub(hub, second, decoder):
    """A detector of KerasHub's at random; `second` has GroupNorm and takes P6 from C5."""
    encoder = hub.models.ResNetBackbone(
        [64], [7], [64, 128, 256, 512], [2, 2, 2, 2], [1, 2, 2, 2], "basic_block"
    )
    pyramid = hub.models.RetinaNetBackbone(encoder, min_level=3, max_level=7, use_p5=second)
    converter = hub.layers.RetinaNetImageConverter(
        image_size=(SIDE, SIDE),
        scale=(1 / 255 / STD).tolist(),
        offset=(-MEAN / STD).tolist(),
        pad_to_aspect_ratio=True,
        crop_to_aspect_ratio=False,
    )
    model = hub.models.RetinaNetObjectDetector(
        pyramid,
        CLASSES,
        use_prediction_head_norm=second,
        preprocessor=hub.models.RetinaNetObjectDetectorPreprocessor(converter),
        prediction_decoder=hub.layers.NonMaxSuppression("yxyx", from_logits=True, **decoder),
    )
    random = np.random.default_rng(0)
    for weight in model.weights:
        shape, name = weight.shape, weight.name
        if len(shape) == 4:
            gain = (1.6 if second else 0.4) if shape[-1] in (9 * 4, 9 * CLASSES) else 1.2
            value = random.normal(0, gain / np.prod(shape[:3]) ** 0.5, shape)
        elif name in ("gamma", "moving_variance"):
            value = random.uniform(0.7, 1.1, shape)
        else:
            value = random.normal(0, 0.1, shape)
        weight.assign(value - 2 if shape == (9 * CLASSES,) else value)
    return model


@pytest.mark.parametrize("second", [False, True])
def test_the_numbers_are_those_of_kerashub(hub, second, tmp_path):
    decoder = {"iou_threshold": 0.45, "confidence_threshold": 0.15, "max_detections": 50}
    theirs = of_hub(hub, second, decoder)
    theirs.save_to_preset(str(tmp_path / "preset"))
    model = load(tmp_path / "preset").model
    for size in ((64, 96), (128, 32)):
        image = ours.picture(*size)
        pixels = ((image / 255 - MEAN) / STD).astype("float32")[None]
        expected = theirs(keras.ops.convert_to_tensor(pixels), training=False)
        regression, scores = ours.raw(model, image)
        assert_allclose(regression, numpy(expected["bbox_regression"]), atol=1e-4)
        assert_allclose(scores, numpy(keras.ops.sigmoid(expected["cls_logits"])), atol=1e-4)
    image = ours.picture(90, 64)  # with 13 rows of black above and below it is square
    (found,) = ours.detections(model, [image], (SIDE, SIDE))
    pixels = theirs.preprocessor(image[None].astype("float32"))
    # not by `predict`: its graph on TensorFlow loses candidates, whose places it rounds down
    outputs = theirs.decode_predictions(theirs(pixels, training=False), pixels)
    boxes, scores, labels = (numpy(outputs[k])[0] for k in ("boxes", "confidence", "labels"))
    boxes = np.clip(boxes[:, [1, 0, 3, 2]], 0, SIDE)
    kept = (labels >= 0) & (boxes[:, 2:] > boxes[:, :2]).all(axis=1)
    boxes = boxes[kept] / (SIDE / 90) - [0, 13, 0, 13]
    assert len(boxes) > 20
    ours.agree(found, np.clip(boxes, 0, [90, 64, 90, 64]), scores[kept], labels[kept])


def test_the_order_of_layers_is_that_of_kerashub(hub):
    filters, strides = [64, 64, 64, 64], [1, 2, 2, 2]
    for kind, first, second in (
        ("basic_block", "12", "102"),
        ("bottleneck_block", "1203", "1203"),
    ):
        blocks = [f"stack0_block0_{i}" for i in first], [f"stack1_block0_{i}" for i in second]
        model = hub.models.ResNetBackbone([64], [7], filters, [1] * 4, strides, kind)
        names = [each.name for each in model.layers if isinstance(each, keras.layers.Conv2D)]
        expected = [f"{name}_conv" for name in ("conv1", *blocks[0], *blocks[1])]
        assert names[: len(expected)] == expected


def numpy(tensor):
    return keras.ops.convert_to_numpy(tensor)
