"""retinanet-train --weights with a `.keras` file: a detector of other classes, or a backbone."""

import os
from dataclasses import replace

import keras
import numpy as np
import pytest

from keras_retinanet.bin import train
from keras_retinanet.models import backbone
from keras_retinanet.models.loading import load_retinanet
from keras_retinanet.parts import Design, Heads, Inputs, Pyramid
from keras_retinanet.presets import PREPROCESSED
from keras_retinanet.training.start import load_start, settle
from keras_retinanet.utils.anchors import AnchorParameters, square_anchors

ROWS = "a.jpg,5,5,40,40,egg\nb.jpg,5,5,40,40,crate\nc.jpg,1,1,30,30,egg\n"
CLASSES = "crate,0\negg,1\n"
SMALL = ["--image-min-side", "64", "--image-max-side", "64"]


@pytest.fixture
def eggs(csv_data):
    """A data set of the classes crate, which the sample has, and egg."""
    return csv_data(ROWS, CLASSES)


@pytest.fixture
def tune(tmp_path, eggs, capsys):
    """Trains a step from a file on the eggs; gives the snapshot's path and what was printed."""

    def run(file, *args, start="--weights"):
        quick = ["--epochs", "1", "--steps", "1", "--batch-size", "3", "--augmentation", "none"]
        args = [start, file, *quick, "--snapshot-path", tmp_path / "snapshots", *args, *eggs]
        capsys.readouterr()
        train.main([str(arg) for arg in args])
        return max(
            (tmp_path / "snapshots").glob("*/last.keras"), key=os.path.getmtime
        ), capsys.readouterr().out

    return run


@pytest.fixture
def refuse_weights(refuse, eggs, tmp_path):
    def run(*args):
        return refuse(train.main, "--snapshot-path", tmp_path / "s", "--weights", *args, *eggs)

    return run


@pytest.fixture
def start(data):
    """The start of a training on the sample: (training model, inference model, arguments)."""

    def make(file, *options):
        args = train.parse_args([*map(str, options), "--weights", str(file), *data])
        models = train.create_models(args, ["ball", "crate", "tent", "star"])
        config = train.config_of(args)
        return *models, settle(config, args.given, load_start(config))[0]

    return make


def saved(model, path):
    model.save(path)
    return path


def test_a_snapshot_becomes_a_detector_of_other_classes_and_goes_on(snapshot, tune):
    options = ["--freeze-backbone", "--box-loss", "giou", "--feature-size", "99"]
    path, printed = tune(snapshot, *options)
    total = len(load_retinanet(str(path)).weights)
    assert f"kept from {snapshot}: {total - 2} of {total} weights\n" in printed
    assert "classes copied: crate; new: egg\n" in printed
    assert "new weights: pyramid_classification (for new classes)\n" in printed
    assert "losses focal and giou, assigner iou, images 64 to 64 px\n" in printed
    assert f"{snapshot} decides these options, so they have no effect: feature_size\n" in printed
    old, new = load_retinanet(str(snapshot)), load_retinanet(str(path))
    assert new.class_names == ["crate", "egg"]
    assert new.anchor_params.get_config() == old.anchor_params.get_config()
    assert (new.progress["epoch"], new.progress["start"]) == (1, "pretrained")
    assert int(new.optimizer.iterations) == 1
    for name, same in (("conv1_conv", True), ("P3", False)):
        one, other = (model.get_layer(name).get_weights()[0] for model in (old, new))
        assert np.array_equal(one, other) == same
        assert np.allclose(one, other, atol=0.05)
    path, printed = tune(path, "--epochs", "2", start="--snapshot")
    assert "\n    2/2 " in printed
    assert "kept from" not in printed
    assert load_retinanet(str(path)).progress["epoch"] == 2


def test_the_same_classes_keep_every_weight(snapshot, start, capsys):
    model, inference, _ = start(snapshot)
    printed = capsys.readouterr().out
    assert "classes copied: ball, crate, tent, star\n" in printed
    assert "new weights" not in printed
    pairs = zip(model.get_weights(), load_retinanet(str(snapshot)).get_weights(), strict=True)
    assert all(np.array_equal(*pair) for pair in pairs)
    assert not inference.is_training_model
    assert not model.compiled


def test_an_inference_model_gfl_and_other_sizes(tune, tmp_path):
    from keras_retinanet.models import convert_model

    gfl = backbone("resnet10_0.25").detector(
        ["egg"],
        design=Design(
            Pyramid((3, 4), 8),
            Heads(depth=1, level_scales=True),
            square_anchors([3, 4], 8),
            {"name": "distances", "bins": 4},
            Inputs(image_min_side=500, image_max_side=600),
        ),
    )
    file = saved(convert_model(gfl), tmp_path / "gfl.keras")
    path, printed = tune(file, *SMALL, "--detector", "retinanet")
    assert "losses quality_focal and gfl, assigner atss, images 64 to 64 px" in printed
    assert "no effect: detector" in printed
    model = load_retinanet(str(path))
    loss = model.get_compile_config()["loss"]
    assert {name: each["name"] for name, each in loss.items()} == {
        "regression": "gfl",
        "classification": "quality_focal",
    }
    assert model.progress["assigner"] == {"name": "atss"}
    assert (model.image_min_side, model.image_max_side) == (64, 64)
    assert model.coder.config["bins"] == 4


def test_a_softmax_head_and_a_predicted_iou_have_their_losses(start, tmp_path, capsys):
    old = backbone("resnet10_0.25").detector(
        ["egg"],
        design=Design(
            Pyramid((3,), 8),
            Heads(depth=1, activation="softmax", iou_branch=True),
            square_anchors([3], 4),
            inputs=Inputs(image_min_side=None, image_max_side=None),
        ),
    )
    model, _, args = start(saved(old, tmp_path / "old.keras"))
    printed = capsys.readouterr().out
    assert "losses softmax_focal and smooth_l1, assigner iou, images as they are" in printed
    assert args.iou_branch
    assert args.no_resize
    assert model.image_min_side is None
    assert model.output_names == ["regression", "classification", "iou"]


def test_a_detector_of_preprocessed_images_and_other_anchors(tune, tmp_path, sample):
    """keras-retinanet's kind: no normalization, no names; the new anchors are placed as the old."""
    anchors = AnchorParameters([16, 32, 64], [8, 16, 32], [1], [1], offset=0.25)
    design = replace(
        PREPROCESSED, pyramid=Pyramid((3, 4, 5), 8), heads=Heads(depth=1), anchors=anchors
    )
    old = backbone("resnet10_0.25").detector(3, design=design)
    file = saved(old, tmp_path / "old.keras")
    path, printed = tune(file, *SMALL, "--config", sample / "anchors.ini", "--no-freeze-bn")
    assert "classes new: crate, egg\n" in printed
    assert "pyramid_regression (1 anchors per location, now 2)" in printed
    model = load_retinanet(str(path))
    assert model.normalization is None
    assert model.coder.config["name"] == "corners"
    assert model.anchor_params.scales.tolist() == [1, 1.5]
    assert model.anchor_params.offset == 0.25
    trained_too = {weight.path.split("/")[0] for weight in model.trainable_weights}
    assert "conv1_bn" in trained_too


def test_fitted_anchors_keep_the_shapes_of_the_heads_and_stages_are_frozen(tune, snapshot):
    path, printed = tune(snapshot, "--fit-anchors", "--freeze-stages", "3")
    assert "new weights: pyramid_classification (for new classes)\n" in printed
    old, new = load_retinanet(str(snapshot)), load_retinanet(str(path))
    assert new.pyramid_levels == old.pyramid_levels
    assert new.anchor_params.get_config() != old.anchor_params.get_config()
    trained_too = {weight.path.split("/")[0] for weight in new.trainable_weights}
    assert "conv4_block1_1_conv" in trained_too
    assert not {"conv3_block1_1_conv", "conv4_block1_1_bn"} & trained_too


def test_a_bare_backbone_of_keras(tune, tmp_path, tiny):
    keras.utils.set_random_seed(7)
    bare = backbone("resnet10_0.25").network(keras.Input((None, None, 3)))
    path, _ = tune(saved(bare, tmp_path / "bare.keras"), *tiny, "--freeze-backbone")
    model = load_retinanet(str(path))
    for name in ("conv1_conv", "conv5_block1_2_bn"):
        found, expected = (each.get_layer(name).get_weights() for each in (model, bare))
        assert all(np.array_equal(*pair) for pair in zip(found, expected, strict=True))
    assert model.progress["start"] == "pretrained"


def test_the_name_of_a_bare_backbone_goes_without_saying(tmp_path, refuse_weights):
    network = backbone("resnet10_0.25").network(keras.Input((None, None, 3)))
    bare = keras.Model(network.input, network.output, name="resnet10_0.25")
    file = saved(bare, tmp_path / "bare.keras")
    data = ["csv", "boxes.csv", "classes.csv"]
    config = train.config_of(train.parse_args(["--weights", str(file), *data]))
    begun = load_start(config)
    assert begun.model is None
    assert settle(config, (), begun)[0].backbone == "resnet10_0.25"
    message = refuse_weights(file, "--backbone", "resnet18")
    assert "bare.keras has the backbone resnet10_0.25, not resnet18" in message


def test_weights_that_do_not_fit(refuse_weights, snapshot, other_keras_file, tmp_path, sample):
    assert "missing.keras: no such file" in refuse_weights(tmp_path / "missing.keras")
    text = tmp_path / "text.keras"
    text.write_text("no model")
    assert "text.keras: not a .keras file" in refuse_weights(text)
    small = ["--backbone", "resnet10_0.25", *SMALL]
    message = refuse_weights(other_keras_file, *small)
    assert "dense.keras: not the weights of a bare resnet10_0.25" in message
    message = refuse_weights(snapshot, "--backbone", "resnet18")
    assert f"{snapshot} has the backbone resnet10_0.25, not resnet18" in message
    more = (sample / "anchors.ini").read_text()
    for old, new in {"64": "64 128", "32\n": "32 64\n", "4 5": "4 5 6"}.items():
        more = more.replace(old, new)
    (tmp_path / "more.ini").write_text(more)
    message = refuse_weights(snapshot, "--config", tmp_path / "more.ini")
    assert f"{snapshot}: The detector has the pyramid levels 3, 4, 5 only" in message
    model = load_retinanet(str(snapshot))
    model.backbone_name = "mine"
    mine = saved(model, tmp_path / "mine.keras")
    message = refuse_weights(mine, "--freeze-stages", "2")
    assert "mine.keras: --freeze-stages needs a backbone by name, not mine" in message
    model.backbone_name = "resnet50"  # a custom backbone may be called as one of ours
    message = refuse_weights(saved(model, tmp_path / "named.keras"), "--freeze-stages", "2")
    assert "--freeze-stages needs a backbone by name, not resnet50" in message
    message = refuse_weights(
        snapshot, *small, "--snapshot-path", snapshot.parent.parent, "--run", snapshot.parent.name
    )
    assert f"{snapshot.parent} holds a training" in message
    assert snapshot.exists()
    message = refuse_weights(snapshot, "--box-loss", "dfl")
    assert "dfl needs a box coder with bins" in message
