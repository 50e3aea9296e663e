"""Bare backbones: the features of torchvision, timm and Keras from their own files; refusals."""

import keras
import numpy as np
import pytest

from keras_retinanet.errors import InputError
from keras_retinanet.models import backbone
from keras_retinanet.weights import backbone as source
from keras_retinanet.weights import import_weights
from keras_retinanet.weights.backbone_names import leaf_layers

pytestmark = pytest.mark.core


def array(value):
    return keras.ops.convert_to_numpy(value)


def refusal(path, **options):
    with pytest.raises(InputError) as error:
        import_weights("backbone", path, **options)
    return str(error.value).removeprefix(f"{path}: ")


def randomised(network):
    """A torch network in inference mode, none of whose parameters or statistics is 0 or 1."""
    import torch

    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for name, value in network.state_dict().items():
            if (value.ndim <= 1 and value.is_floating_point()) or name.endswith("layer_scale"):
                value.copy_(0.5 + torch.rand(value.shape, generator=generator))
    return network.eval()


def stages(network, images):
    """C3, C4 and C5 of a ResNet, after the last block of each stage."""
    stem = network.layer0 if hasattr(network, "layer0") else None
    if stem is None:
        x = network.maxpool(network.relu(network.bn1(network.conv1(images))))
    else:
        x = network.pool0(stem(images))
    features = []
    for stage in (network.layer1, network.layer2, network.layer3, network.layer4):
        x = stage(x)
        features.append(x)
    return features[1:]


def dense_blocks(network, images):
    features, x = [], images
    for name, layer in network.features.named_children():
        x = layer(x)
        if name.startswith("denseblock"):
            features.append(x)
    return features[1:]


def last_normed(features, norm):
    """C5 through the norm, which torch's classifier has behind its pool."""
    c3, c4, c5 = features
    return [c3, c4, norm(c5.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)]


def torchvision_convnext(network, images):
    features, x = [], images
    for layer in network.features:
        x = layer(x)
        features.append(x)
    import torch

    norm = torch.nn.LayerNorm(x.shape[1], eps=1e-6)
    norm.load_state_dict(network.classifier[0].state_dict())
    return last_normed([features[3], features[5], features[7]], norm)


CASES = {  # how it is made, its C3 to C5, what its files end in, our name
    "torchvision.resnet18": (stages, ".pth", "resnet18"),
    "torchvision.densenet121": (dense_blocks, ".pth", "densenet121"),
    "torchvision.convnext_tiny": (torchvision_convnext, ".pth", "convnext_tiny"),
    "timm.legacy_seresnet18": (stages, ".safetensors", "seresnet18"),
}


@pytest.fixture(scope="module")
def timm(torchvision):
    """timm, which imports torchvision."""
    return pytest.importorskip("timm")


def original(name, torchvision, timm):
    library, _, name = name.partition(".")
    if library == "torchvision":
        return getattr(torchvision.models, name)(weights=None)
    return timm.create_model(name)


@pytest.mark.parametrize("name", CASES)
def test_features_are_those_of_the_original(name, torchvision, timm, tmp_path):
    torch = pytest.importorskip("torch")
    features_of, suffix, ours = CASES[name]
    network = randomised(original(name, torchvision, timm))
    path = tmp_path / f"weights{suffix}"
    if suffix == ".pth":
        torch.save(network.state_dict(), path)
    else:
        pytest.importorskip("safetensors.torch").save_file(network.state_dict(), path)
    model = import_weights("backbone", path).model
    assert model.name == ours
    taps = backbone(ours).taps(model)
    features = keras.Model(model.input, [taps[level] for level in ("C3", "C4", "C5")])
    rng = np.random.default_rng(0)
    for height, width in ((64, 96), (96, 64)):
        images = rng.normal(size=(1, height, width, 3)).astype("float32")
        with torch.no_grad():
            expected = features_of(network, torch.from_numpy(images.transpose(0, 3, 1, 2)))
        for found, wanted in zip(features(images, training=False), expected, strict=True):
            wanted = wanted.numpy().transpose(0, 2, 3, 1)
            np.testing.assert_allclose(array(found), wanted, atol=1e-4 * np.abs(wanted).max())


@pytest.mark.parametrize(
    "name", ["resnet50", "resnext101_32x4d", "legacy_senet154", "convnext_base"]
)
def test_names_of_timm(name, timm):
    """Every tensor of the original, with its shape, has its place; the size gives the name."""
    torch = pytest.importorskip("torch")
    with torch.device("meta"):
        state = timm.create_model(name).state_dict()
    tensors = {name: np.broadcast_to(0.0, tuple(value.shape)) for name, value in state.items()}
    assert source.name_of("FILE", source.without_classifier("FILE", tensors)[1]) == {
        "resnet50": "resnet50v1.5",
        "resnext101_32x4d": "resnext101",
        "legacy_senet154": "senet154",
    }.get(name, name)


def test_the_older_names_of_densenets():
    assert source.current("features.denseblock1.denselayer16.norm.2.running_var") == (
        "features.denseblock1.denselayer16.norm2.running_var"
    )
    assert source.current("features.denseblock1.denselayer1.conv2.weight").endswith(".conv2.weight")
    assert source.current("features.transition1.conv.weight").endswith(".conv.weight")


def test_the_published_mobilenet(shared):
    path = shared / "weights" / "mobilenet_2_5_224_tf_no_top.h5"
    model = import_weights("backbone", path).model
    known = keras.applications.MobileNet(alpha=0.25, include_top=False, weights=None)
    known.load_weights(path)
    assert model.name == "mobilenet224_0.25"
    for ours, theirs in zip(model.weights, known.weights, strict=True):
        np.testing.assert_array_equal(array(ours), array(theirs))


def test_a_whole_network_of_keras(tmp_path):
    """With its classifier, which is left out; the size in the name is given."""
    known = keras.applications.MobileNet((128, 128, 3), alpha=0.25, weights=None, classes=7)
    known.save(tmp_path / "whole.h5")
    model = import_weights("backbone", tmp_path / "whole.h5", backbone="mobilenet128_0.25").model
    assert model.name == "mobilenet128_0.25"
    images = np.random.default_rng(0).normal(size=(1, 128, 128, 3)).astype("float32")
    features = keras.Model(known.input, known.get_layer("conv_pw_13_relu").output)
    np.testing.assert_allclose(
        array(model(images, training=False)), array(features(images, training=False)), rtol=1e-5
    )


def small():
    return keras.Sequential(
        [
            keras.Input((None, None, 3)),
            keras.layers.Normalization(),
            keras.layers.Conv2D(4, 3, name="stem_conv"),
            keras.Sequential([keras.layers.LayerNormalization()], name="inner"),
            keras.layers.DepthwiseConv2D(3, name="wide"),
        ]
    )


def test_layers_that_keras_names_itself_go_by_their_order():
    model, tensors = small(), {}
    for layer in leaf_layers(model):
        numbered = layer.name.startswith(("normalization", "layer_normalization"))
        name = {"wide": "wide/depthwise"}.get(layer.name, layer.name)
        for variable in layer.weights:
            tensors[f"{name}{'_77' * numbered}/{variable.name}"] = array(variable)
    targets = [move.variable.path for move in source.of_applications(model, tensors)]
    assert targets == [variable.path for variable in model.weights]
    names = [move.name for move in source.of_applications(model, tensors)]
    assert names == list(tensors)


@pytest.mark.parametrize("name", ["mobilenetv2_0.35", "resnet18"])  # docs/backbones.md has all
def test_sizes(name):
    network = backbone(name).network(keras.Input((None, None, 3)))
    size = sum(int(np.prod(variable.shape)) for variable in network.weights)
    assert source.SIZES[size] == name


@pytest.mark.parametrize(
    ("tensor", "reason"),
    [
        ("layer1.0.se.fc1.weight", "legacy_seresnet50"),
        ("features.0.weight", "another normalization"),
        ("features.0.0.weight", "pad on other sides"),
        ("conv_stem.weight", "pad on other sides"),
        ("backbone.body.conv1.weight", "not a ResNet, "),
    ],
)
def test_networks_that_compute_otherwise_are_refused(write_pth, tmp_path, tensor, reason):
    path = write_pth(tmp_path / "a.pth", {tensor: np.zeros(3), "conv1.weight": np.zeros(3)})
    assert reason in refusal(path)


def test_what_does_not_fit_is_named(write_pth, tmp_path):
    tensors = {
        "conv1.weight": np.zeros((16, 3, 7, 7), "float32"),
        "layer1.0.conv1.weight": np.zeros(3),
        "layer9.bias": np.zeros(3),
        "fc.weight": np.zeros((10, 512)),
    }
    path = write_pth(tmp_path / "a.pth", tensors)
    assert "2,358 numbers in" in refusal(path)
    text = refusal(path, backbone="resnet18_0.25")
    assert "missing bn1.weight, bn1.bias" in text
    assert "left over layer9.bias;" in text
    assert "of another shape layer1.0.conv1.weight (3,) instead of (3, 3, 16, 16)" in text
    assert "fc.weight" not in text
    nearly = {"conv1.weight": np.zeros((64, 3, 7, 7)), "layer1.0.conv1.weight": np.zeros(3)}
    nearly["layer2.0.conv1.weight"] = np.zeros(11_186_112 - 64 * 147 - 3 - 64)
    text = refusal(write_pth(tmp_path / "near.pth", nearly))
    assert "layer1.0.conv1.weight (3,) instead of (3, 3, 64, 64)" in text
    assert "missing bn1.weight, bn1.bias" in text
    with pytest.raises(ValueError, match="Unknown backbone"):
        import_weights("backbone", path, backbone="resnet51")
    assert "name another backbone" in refusal(path, backbone="resnet50v2")
    assert "no class names" in refusal(path, class_names=["a"])
