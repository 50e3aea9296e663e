"""retinanet-train with other detectors, heads, losses, samplers, and a warm-up loss."""

import shutil

import numpy as np
import pytest

from keras_retinanet.bin import convert_model, detect, evaluate, train
from keras_retinanet.models import RetinaNet
from keras_retinanet.models.loading import load_retinanet
from keras_retinanet.training import run
from keras_retinanet.training.snapshots import Snapshots

LAST = "last.keras"
STEP = ("--epochs", "1", "--steps", "1", "--augmentation", "none")


def losses_of(model):
    """{output: name} of the losses that a model is compiled with."""
    return {output: loss["name"] for output, loss in model.get_compile_config()["loss"].items()}


# --detector gfl


@pytest.fixture(scope="module")
def gfl(tiny, data, tmp_path_factory):
    """A snapshot of `--detector gfl`, with the anchors that come with it."""
    folder = tmp_path_factory.mktemp("gfl")
    *options, _, _ = tiny  # but for --config
    start = ["--detector", "gfl", "--no-weights", "--snapshot-path", str(folder.parent)]
    start += ["--run", folder.name]
    train.main([*options, *start, *STEP, *data])
    return folder / LAST


def test_gfl_is_what_it_is_named_after(gfl):
    model = load_retinanet(str(gfl))
    assert losses_of(model) == {"regression": "gfl", "classification": "quality_focal"}
    assert model.coder.config == {"name": "distances", "bins": 16, "unit": 0.125}
    assert model.progress["assigner"] == {"name": "atss"}
    assert model.anchor_params.num_anchors() == 1
    assert model.anchor_params.sizes == [64, 128, 256, 512, 1024]  # of the strides 8 to 128
    assert [output.shape[-1] for output in model.outputs] == [4 * 17, 4]
    names = {weight.path for weight in model.trainable_weights}
    assert "pyramid_regression_0_norm/gamma" in names
    assert {f"regression_scale_{level}/factor" for level in range(3, 8)} <= names


def test_gfl_goes_on_from_its_snapshot(gfl, data, tmp_path, monkeypatch):
    assigners = []
    keep = ["--batch-size", "3", "--snapshot-path", str(tmp_path), "--run", "more"]
    create = run.create_loaders

    def create_loaders(*args):
        loaders = create(*args)
        assigners.append(loaders[0].anchoring.assign.assign.func.__module__)
        return loaders

    monkeypatch.setattr(run, "create_loaders", create_loaders)
    train.main([*keep, "--snapshot", str(gfl), "--epochs", "2", "--steps", "1", *data])
    before, after = (load_retinanet(str(path)) for path in (gfl, tmp_path / "more" / LAST))
    assert after.get_compile_config()["loss"] == before.get_compile_config()["loss"]
    assert after.progress["assigner"] == {"name": "atss"}
    assert assigners == ["keras_retinanet.assigners.atss"]
    assert int(after.optimizer.iterations) == 2
    moved = [
        np.abs(old - new).max()
        for old, new in zip(before.get_weights(), after.get_weights(), strict=True)
    ]
    assert max(moved) > 1e-5


@pytest.mark.slow
def test_gfl_is_converted_evaluated_and_used_for_detection(gfl, data, tmp_path, capsys):
    import tensorflow as tf

    low = ["--score-threshold", "0.001"]  # it has hardly been trained
    path, folder = tmp_path / "gfl.keras", tmp_path / "gfl"
    convert_model.main([*low, str(gfl), str(path)])
    convert_model.main([*low, str(gfl), str(folder)])
    evaluate.main([*low, *data, str(path)])
    assert "AP50" in capsys.readouterr().out
    pictures = data[1].replace("train.csv", "images/train")
    detect.main([*low, str(path), pictures, "--json", str(tmp_path / "found.json")])
    assert "6 images" in capsys.readouterr().out
    images = np.random.default_rng(0).integers(0, 255, (1, 64, 64, 3), "uint8")
    boxes, scores, _ = load_retinanet(str(path)).predict_on_batch(images)
    assert (scores > 0).any()
    assert 0 < boxes.max() <= 64
    served = tf.saved_model.load(str(folder)).signatures["serving_uint8"]
    theirs = served(images=tf.constant(images))
    np.testing.assert_allclose(theirs["scores"], scores, rtol=1e-4)
    np.testing.assert_allclose(theirs["boxes"], boxes, atol=1e-3)


# heads, losses and samplers


@pytest.mark.slow
def test_iou_branch_softmax_and_ohem_together(fit, held_out, capsys):
    folder = fit(
        *(*STEP, "--iou-branch", "--classification-loss", "softmax_focal:gamma=1"),
        *("--selector", "ohem:count=16,ratio=3", "--box-loss", "ciou", *held_out),
    )
    assert "AP50" in capsys.readouterr().out
    model = load_retinanet(str(folder / LAST))
    assert model.output_names == ["regression", "classification", "iou"]
    assert model.activation == "softmax"
    names = {"regression": "ciou", "classification": "softmax_focal", "iou": "iou_entropy"}
    assert losses_of(model) == names
    whole = {"name": "ohem", "count": 16, "overlap": 0.7, "ratio": 3, "pool": 4}
    assert model.get_compile_config()["sampler"] == whole
    fit("--epochs", "2", "--steps", "1", "--snapshot", folder / LAST, *held_out[:3])
    again = load_retinanet(str(folder / LAST))
    assert again.progress["epoch"] == 2
    config = again.get_compile_config()
    assert {key: config[key] for key in ("loss", "sampler")} == {
        key: model.get_compile_config()[key] for key in ("loss", "sampler")
    }


def test_alpha_by_the_inverse_frequency_of_the_classes(fit, csv_data):
    # 4 balls, 1 tent and no egg: odds 5 / (3 · 4), 5 / (3 · 1), and 1
    rows = "a.jpg,1,1,30,30,ball\na.jpg,9,9,40,40,ball\nb.jpg,5,5,50,50,ball\n"
    rows += "c.jpg,5,5,50,50,ball\nc.jpg,20,20,60,60,tent\n"
    named = csv_data(rows, "ball,0\ntent,1\negg,2\n")
    loss = "focal:gamma=1,alpha=inverse_frequency"
    folder = fit(*STEP, "--classification-loss", loss, "--selector", "hard_negative", *named)
    model = load_retinanet(str(folder / LAST))
    config = model.get_compile_config()
    np.testing.assert_allclose(config["loss"]["classification"].pop("alpha"), [5 / 17, 5 / 8, 0.5])
    expected = {"name": "focal", "gamma": 1, "cutoff": 0.5, "label_smoothing": 0}
    expected["from_logits"] = True
    assert config["loss"]["classification"] == expected
    assert config["sampler"] == {"name": "hard_negative", "ratio": 3.0}


@pytest.mark.parametrize(
    ("options", "bias"),
    [
        ([], [-np.log(99)] * 2),
        (["--prior-probability", "0.1"], [-np.log(9)] * 2),
        (["--prior-probability", "none"], [0, 0]),
        # two classes of 0.05 each, and the background 0.9: 18 times as likely
        (
            ["--prior-probability", "0.1", "--classification-loss", "softmax_focal"],
            [0, 0, np.log(18)],
        ),
        (
            ["--prior-probability", "none", "--classification-loss", "softmax_focal"],
            [0, 0, 0],
        ),
    ],
)
def test_what_the_scores_start_from(tiny, options, bias):
    args = train.parse_args([*tiny, "--no-weights", *options, "csv", "a", "b"])
    model, _ = train.create_models(args, ["a", "b"])
    _, start = model.get_layer("classification_submodel").layers[-3].get_weights()
    np.testing.assert_allclose(start, bias * 2, rtol=1e-5)  # of two anchors at each place


# the warm-up loss


@pytest.fixture
def warm(train_tiny, data, tmp_path):
    """Train with a warm-up loss for some of three epochs of one step, and return the folder; the
    backbone stays as it is, for every weight that moves takes time."""

    def run(name, *options, epochs=3):
        how = ["--epochs", epochs, "--augmentation", "light", "--snapshot-path", tmp_path]
        train_tiny(*how, "--run", name, "--batch-size", 6, "--freeze-backbone", *options, *data)
        return tmp_path / name

    return run


def test_the_loss_changes_after_the_warm_up_and_the_optimizer_goes_on(warm, monkeypatch):
    compiled, saved = [], []
    compile_model, on_epoch_end = RetinaNet.compile, Snapshots.on_epoch_end

    def state(optimizer):
        if not optimizer.built:
            return 0, 0.0
        moments = [np.abs(v.numpy()).max() for v in optimizer.variables if "momentum" in v.path]
        assert moments
        return int(optimizer.iterations), min(moments)

    def compile(self, optimizer, *args, **kwargs):
        compile_model(self, optimizer, *args, **kwargs)
        compiled.append((losses_of(self)["classification"], *state(self.optimizer)))

    def end(self, epoch, logs=None):
        on_epoch_end(self, epoch, logs)
        saved.append((losses_of(self.model)["classification"], *state(self.model.optimizer)))

    monkeypatch.setattr(RetinaNet, "compile", compile)
    monkeypatch.setattr(Snapshots, "on_epoch_end", end)
    folder = warm("whole", "--warmup-loss", "cross_entropy", "--warmup-loss-epochs", 1)
    assert [row[0] for row in compiled] == ["cross_entropy", "focal"]
    assert [row[0] for row in saved] == ["cross_entropy", "focal", "focal"]
    assert compiled[0][1:] == (0, 0)
    assert [row[1] for row in saved] == [1, 2, 3]
    assert compiled[1][1:] == saved[0][1:]  # neither counted again nor forgotten
    assert saved[0][2] > 0
    model = load_retinanet(str(folder / LAST))
    assert losses_of(model)["classification"] == "focal"
    first, last = model.progress["stages"]
    assert (first["until"], last["until"]) == (1, None)
    assert first["loss"]["classification"]["name"] == "cross_entropy"
    assert first["loss"]["regression"] == last["loss"]["regression"]


@pytest.mark.slow
def test_a_run_resumed_in_or_after_the_warm_up_ends_as_an_uninterrupted_one(
    warm, monkeypatch, tmp_path, capsys
):
    # two epochs of three are the warm-up; GHM's counts are a part of the snapshots
    on_epoch_end = Snapshots.on_epoch_end

    def keep(self, epoch, logs=None):
        on_epoch_end(self, epoch, logs)
        shutil.copy(self.folder.last, tmp_path / f"{epoch + 1}.keras")

    with monkeypatch.context() as patch:
        patch.setattr(Snapshots, "on_epoch_end", keep)
        how = ["--warmup-loss", "focal:gamma=0", "--warmup-loss-epochs", 2]
        folder = warm("whole", *how, "--box-loss", "ghm_regression")
    whole = load_retinanet(str(folder / LAST))
    for epoch in (1, 2):
        capsys.readouterr()
        folder = warm(f"from_{epoch}", "--snapshot", tmp_path / f"{epoch}.keras")
        printed = capsys.readouterr().out
        assert f"\n    {epoch + 1}/3 " in printed
        assert f"\n    {epoch}/3 " not in printed
        parts = load_retinanet(str(folder / LAST))
        assert parts.progress == whole.progress
        assert parts.get_compile_config()["loss"] == whole.get_compile_config()["loss"]
        assert int(parts.optimizer.iterations) == int(whole.optimizer.iterations) == 3
        for one, other in zip(whole.get_weights(), parts.get_weights(), strict=True):
            np.testing.assert_allclose(one, other, atol=1e-5)


@pytest.mark.slow
def test_a_warm_up_with_the_very_same_loss_changes_nothing(warm):
    plain = warm("plain", "--steps", 2)
    same = "focal:gamma=2.0000001"  # 2 in float32, yet another loss to compile
    warmed = warm("warmed", "--steps", 2, "--warmup-loss", same, "--warmup-loss-epochs", 1)
    one, other = (load_retinanet(str(folder / LAST)) for folder in (plain, warmed))
    for a, b in zip(one.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_warm_up_longer_than_the_training(warm):
    folder = warm("short", "--warmup-loss", "cross_entropy", "--warmup-loss-epochs", 5, epochs=1)
    model = load_retinanet(str(folder / LAST))
    assert losses_of(model)["classification"] == "cross_entropy"
    assert model.progress["epoch"] == 1


# what is refused


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            "--warmup-loss cross_entropy",
            "--warmup-loss and --warmup-loss-epochs must be given together",
        ),
        ("--warmup-loss-epochs 2", "--warmup-loss and --warmup-loss-epochs must be given together"),
        ("--warmup-loss focal --warmup-loss-epochs 0", "must be from 1 to 1000000, got 0"),
        ("--warmup-loss focal --warmup-loss-epochs -1", "must be from 1 to 1000000, got -1"),
        ("--classification-loss focal:gamma", "write focal:argument=value"),
        ("--classification-loss focal:gamma=,", "write focal:argument=value"),
        ("--classification-loss focal:gamma=two", "write focal:argument=value"),
        ("--classification-loss giou", "unknown name 'giou'"),
        ("--box-loss focal", "unknown name 'focal'"),
        ("--selector easy", "unknown name 'easy'; known: ohem, hard_negative"),
        ("--detector fcos", "invalid choice: 'fcos'"),
        ("--prior-probability 2", "must be none or a number between 0 and 1, got 2"),
        ("--prior-probability 0", "must be none or a number between 0 and 1, got 0"),
        ("--prior-probability some", "must be none or a number between 0 and 1, got some"),
    ],
)
def test_options_that_make_no_sense(refuse_training, data, options, message):
    assert message in refuse_training(*options.split(), *data)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            "--classification-loss focal:gama=1",
            "'gama'; known: alpha, gamma, cutoff, label_smoothing.",
        ),
        (
            "--classification-loss focal:alpha=(0.2,0.5,0.9)",
            "focal: alpha must be a number, or one for each of the 4 classes",
        ),
        ("--box-loss dfl", "The box loss dfl needs a box coder with bins"),
        (
            "--detector gfl --box-loss smooth_l1",
            "The box loss smooth_l1 compares deltas",
        ),
        (
            "--warmup-loss softmax_focal --warmup-loss-epochs 1",
            "loss softmax_focal needs a softmax head",
        ),
        (
            "--selector ohem --classification-loss ghm_classification",
            "The sampler ohem needs the loss of each anchor, and ghm_classification",
        ),
        ("--selector ohem:count=0", "ohem"),
        ("--assigner atss:top_k=0", "atss: top_k must be more than 0"),
        ("--coder distances:unit=0", "distances:unit=0 is not a usable coder"),
    ],
)
def test_choices_that_cannot_be_trained_with(refuse_training, data, tmp_path, options, message):
    assert message in refuse_training(*options.split(), *data)
    folder = tmp_path / "snapshots"
    assert not folder.exists() or not list(folder.iterdir())
