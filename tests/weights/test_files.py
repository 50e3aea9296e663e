"""Weight files of every format: what is read, against torch, safetensors and Keras; refusals."""

import contextlib
import copy
import json
import pickle
import re
import struct
import tracemalloc
import zipfile

import h5py
import keras
import numpy as np
import pytest

from keras_retinanet.errors import InputError
from keras_retinanet.weights.files import read_tensors

pytestmark = pytest.mark.core


def refusal(path):
    with pytest.raises(InputError) as error:
        read_tensors(path)
    text = str(error.value)
    assert text.startswith(f"{path}: ")
    assert "\n" not in text
    return text.removeprefix(f"{path}: ")


def same(found, expected):
    assert list(found) == list(expected)
    for name, array in expected.items():
        np.testing.assert_array_equal(found[name], array, err_msg=name)
        assert found[name].dtype == array.dtype, name


@pytest.fixture(scope="module")
def tensors():
    rng = np.random.default_rng(0)
    values = rng.normal(size=(3, 4, 2)).astype("float32")
    return {
        "conv.weight": values,
        "conv.transposed": np.transpose(values, (2, 0, 1)),
        "norm.num_batches_tracked": np.array(7),
        "half": values.astype("float16"),
        "double": values.astype("float64"),
        "mask": values > 0,
        "bytes": np.arange(5, dtype="uint8"),
        "empty": np.zeros((0, 3), "float32"),
        "scalar": np.asarray(np.float32(2.5)),
    }


@pytest.mark.parametrize("older", [False, True], ids=["zip", "older"])
@pytest.mark.parametrize("within", [None, "state_dict", "model_state_dict", "model"])
def test_both_formats_of_pytorch(write_pth, tensors, older, within, tmp_path):
    content = tensors if within is None else {"epoch": 12, within: tensors, "meta": {"cfg": "..."}}
    same(read_tensors(write_pth(tmp_path / "a.pth", content, older)), tensors)


@pytest.mark.parametrize("older", [False, True], ids=["zip", "older"])
def test_views_of_one_storage(opcodes, tmp_path, older):
    row = np.arange(12, dtype="float32")
    views = {
        "whole": opcodes.Tensor(row, 0, (3, 4), (4, 1)),
        "column": opcodes.Tensor(row, 1, (3,), (4,)),
        "corner": opcodes.Tensor(row, 5, (2, 2), (4, 2)),
    }
    expected = {
        "whole": row.reshape(3, 4),
        "column": row[1::4],
        "corner": row.reshape(3, 4)[1:, 1::2],
    }
    storages = []
    stream = opcodes.pickled(views, storages, older)
    write = opcodes.older_file if older else opcodes.zip_file
    same(read_tensors(write(tmp_path / "a.pth", stream, storages)), expected)


@pytest.mark.parametrize("older", [False, True], ids=["zip", "older"])
def test_what_torch_saves_is_what_torch_loads(tmp_path, older):
    torch = pytest.importorskip("torch")
    generator = torch.Generator().manual_seed(0)
    row = torch.randn(24, generator=generator)
    linear = torch.nn.Linear(3, 2)
    state = {
        **linear.state_dict(prefix="linear."),
        "parameter": linear.weight,
        "bfloat16": row.bfloat16(),
        "half": row.half().reshape(4, 6).T,
        "views": row.reshape(2, 3, 4)[:, 1:, ::2],
        "integers": torch.arange(5),
        "bool": row > 0,
        "scalar": torch.tensor(3.5),
        "empty": torch.zeros(0, 2),
    }
    content = {"model": state, "optimizer": {"state": {0: {"step": torch.tensor(3)}}}}
    torch.save(content, tmp_path / "a.pt", _use_new_zipfile_serialization=not older)
    loaded = torch.load(tmp_path / "a.pt", weights_only=True)["model"]
    expected = {
        name: (value.float() if value.dtype == torch.bfloat16 else value).detach().numpy()
        for name, value in loaded.items()
    }
    same(read_tensors(tmp_path / "a.pt"), expected)


@pytest.mark.parametrize("protocol", [2, 4])
def test_pickled_arrays_of_detectron2(tensors, tmp_path, protocol):
    content = {"model": tensors, "__author__": "Detectron2 Model Zoo", "matching_heuristics": True}
    (tmp_path / "a.pkl").write_bytes(pickle.dumps(content, protocol))
    same(read_tensors(tmp_path / "a.pkl"), tensors)


@pytest.mark.parametrize("prefix", ["module.", "model.", "model.module."])
def test_a_prefix_that_all_tensors_share_is_left_out(write_pth, tensors, prefix, tmp_path):
    """Of DataParallel, and of Lightning, whose files end in .ckpt."""
    wrapped = {f"{prefix}{name}": value for name, value in tensors.items()}
    path = write_pth(tmp_path / "a.ckpt", {"state_dict": wrapped, "epoch": 3})
    same(read_tensors(path), tensors)
    other = {**wrapped, "ema_model.conv.weight": np.zeros(3)}
    same(read_tensors(write_pth(path, {"state_dict": other})), other)


def test_safetensors(tmp_path):
    torch = pytest.importorskip("torch")
    torch_files = pytest.importorskip("safetensors.torch")
    state = {"a": torch.randn(3, 4), "b": torch.randn(5).bfloat16(), "c": torch.tensor(3)}
    torch_files.save_file(state, tmp_path / "a.safetensors")
    expected = {"a": state["a"].numpy(), "b": state["b"].float().numpy(), "c": np.array(3)}
    same(read_tensors(tmp_path / "a.safetensors"), expected)


def test_safetensors_without_torch(tensors, tmp_path):
    pytest.importorskip("safetensors")
    from safetensors.numpy import save_file

    save_file({k: np.ascontiguousarray(v) for k, v in tensors.items()}, tmp_path / "a.safetensors")
    same(
        dict(sorted(read_tensors(tmp_path / "a.safetensors").items())),
        dict(sorted(tensors.items())),
    )


def network():
    inner = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, name="last")], name="head")
    return keras.Sequential(
        [
            keras.Input((8, 8, 3)),
            keras.layers.Conv2D(4, 3, name="conv"),
            keras.layers.BatchNormalization(name="norm"),
            keras.layers.GlobalAveragePooling2D(),
            inner,
        ]
    )


def test_weights_of_keras_2(tmp_path):
    """Keras 3 still writes them; a weight of a model within the model keeps its layer's name."""
    model = network()
    path = tmp_path / "whole.h5"
    model.save(path)
    conv, norm, head = model.get_layer("conv"), model.get_layer("norm"), model.get_layer("head")
    expected = {
        "conv/kernel": conv.kernel,
        "conv/bias": conv.bias,
        "norm/gamma": norm.gamma,
        "norm/beta": norm.beta,
        "norm/moving_mean": norm.moving_mean,
        "norm/moving_variance": norm.moving_variance,
        "head/last/kernel": head.layers[-1].kernel,
        "head/last/bias": head.layers[-1].bias,
    }
    expected = {name: keras.ops.convert_to_numpy(value) for name, value in expected.items()}
    same(read_tensors(path), expected)


def test_the_lists_of_keras_2_may_be_in_parts(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.attrs["layer_names0"] = [b"conv"]
        file.attrs["layer_names1"] = [b"norm"]
        for layer, weight in (("conv", "conv/kernel:0"), ("norm", "norm/scope/gamma:0")):
            file.create_group(layer).attrs["weight_names"] = [weight.encode()]
            file[layer][weight] = np.ones(3, "float32")
    same(
        read_tensors(tmp_path / "a.h5"),
        {name: np.ones(3, "float32") for name in ("conv/kernel", "norm/scope/gamma")},
    )


def test_weights_of_keras_3(tmp_path):
    model = network()
    model.save_weights(tmp_path / "a.weights.h5")
    found = read_tensors(tmp_path / "a.weights.h5")
    kernel = keras.ops.convert_to_numpy(model.get_layer("conv").kernel)
    np.testing.assert_array_equal(found["layers/conv2d/vars/0"], kernel)
    assert len(found) == len(model.weights)


def test_bfloat16_of_keras_3(tmp_path):
    layer = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, dtype="bfloat16")])
    layer.save_weights(tmp_path / "a.weights.h5")
    found = read_tensors(tmp_path / "a.weights.h5")
    kernel = keras.ops.convert_to_numpy(keras.ops.cast(layer.layers[-1].kernel, "float32"))
    np.testing.assert_array_equal(found["layers/dense/vars/0"], kernel)


def test_the_published_mobilenet(shared):
    found = read_tensors(shared / "weights" / "mobilenet_2_5_224_tf_no_top.h5")
    assert len(found) == 135  # 27 convolutions and 27 batch norms of 4
    assert found["conv1/kernel"].shape == (3, 3, 3, 8)
    assert found["conv_dw_1/depthwise_kernel"].shape == (3, 3, 8, 1)


def test_what_is_no_weight_file(tmp_path):
    assert "no such file" in refusal(tmp_path / "missing.pth")
    assert "a folder" in refusal(tmp_path)
    for name in ("a.txt", "a.onnx", "a"):
        assert "known: .pth, " in refusal(tmp_path / name)
    for name in ("model.safetensors.index.json", "pytorch_model-00001-of-00002.bin"):
        assert "split over several files" in refusal(tmp_path / name)
    for name in ("a.pth", "a.pkl", "a.h5"):
        (tmp_path / name).touch()
        assert refusal(tmp_path / name) == "an empty file."
        (tmp_path / name).write_text("<!DOCTYPE html><html>404</html>")  # a download that failed
        expected = "not a Keras file" if name == "a.h5" else "it begins with '<!DOC'"
        assert expected in refusal(tmp_path / name)


def test_pickles_without_tensors(write_pth, tmp_path):
    path = tmp_path / "a.pth"
    assert "a dict of epoch, log" in refusal(write_pth(path, {"epoch": 3, "log": {}}))
    assert "another value" in refusal(write_pth(path, [np.zeros(3)]))
    mixed = {"a": np.zeros(3), "b": "text"}
    assert refusal(write_pth(path, mixed)) == "b: not a tensor but str."


def test_names_that_are_no_text(write_pth, tmp_path):
    path = write_pth(tmp_path / "a.pth", {3: np.zeros(3), "a": np.zeros(3)})
    assert "a name that is not text" in refusal(path)


@pytest.mark.parametrize("odd", [np.array(["text"]), np.array([1j])])
def test_what_is_no_number(odd, tmp_path):
    path = tmp_path / "a.pkl"
    path.write_bytes(pickle.dumps({"model": {"a": np.zeros(3), "b": odd}}, 2))
    assert refusal(path) == f"b holds {odd.dtype}, not numbers."


def test_other_byte_order(opcodes, tmp_path):
    storages = []
    stream = opcodes.pickled({"a": np.zeros(2)}, storages)
    path = opcodes.zip_file(tmp_path / "a.pth", stream, storages, byte_order="big")
    assert "big-endian" in refusal(path)
    path = opcodes.older_file(tmp_path / "b.pth", stream, storages, little_endian=False)
    assert "big-endian" in refusal(path)


@pytest.mark.parametrize(
    ("offset", "shape", "strides"),
    [
        *((0, (5,), (1,)), (1, (4,), (1,)), (0, (2, 2), (3, 1)), (0, (2**40,), (0,))),
        *((3, (2,), (-1,)), (-1, (1,), (1,)), (0, (2, -2), (1, 1)), (0, (2,), (1, 1))),
        (2**70, (1,), (1,)),
    ],
)  # fmt: skip
def test_views_beyond_their_storage(opcodes, tmp_path, offset, shape, strides):
    row = np.arange(4, dtype="float32")
    stream = opcodes.pickled({"a": opcodes.Tensor(row, offset, shape, strides)})
    assert refusal(opcodes.zip_file(tmp_path / "a.pth", stream, [row])).startswith("a: a tensor of")


def test_storages_that_are_not_as_described(opcodes, tmp_path):
    kind = opcodes.Global("torch", "FloatStorage")
    rebuild = opcodes.Global("torch._utils", "_rebuild_tensor_v2")

    def write(*persistent):
        storage = opcodes.Persistent(persistent)
        tensor = opcodes.Call(rebuild, (storage, 0, (2,), (1,), False, {}))
        stream = opcodes.pickled({"a": tensor})
        return opcodes.zip_file(tmp_path / "a.pth", stream, [np.zeros(2, "float32")])

    assert list(read_tensors(write("storage", kind, "0", "cuda:3", 2))) == ["a"]
    assert "not 3 elements" in refusal(write("storage", kind, "0", "cpu", 3))
    assert "not -2 elements" in refusal(write("storage", kind, "0", "cpu", -2))
    assert "has no data/../version" in refusal(write("storage", kind, "../version", "cpu", 2))
    assert "has no data//etc/passwd" in refusal(write("storage", kind, "/etc/passwd", "cpu", 2))
    assert "damaged" in refusal(write("module", kind, "0", "cpu", 2))
    assert "damaged" in refusal(write("storage", "FloatStorage", "0", "cpu", 2))
    assert "damaged" in refusal(write("storage", kind, "0"))
    system = opcodes.Call(opcodes.Global("os", "system"), ("touch canary",))
    assert "run os.system" in refusal(write("storage", system, "0", "cpu", 2))


def zipped(path, entries, compression=zipfile.ZIP_STORED):
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, data in entries.items():
            archive.writestr(name, data)
    return path


def test_other_zip_files(opcodes, tmp_path):
    path = tmp_path / "a.pth"
    state = b"\x80\x02" + opcodes.pickled({"a": np.zeros(2)}) + b"."
    assert "TorchScript" in refusal(zipped(path, {"m/data.pkl": state, "m/constants.pkl": b""}))
    assert ".keras file" in refusal(zipped(path, {"config.json": b"{}"}))
    assert "it has no data.pkl" in refusal(zipped(path, {"a/../../data.pkl": state}))
    assert "it has no data/0" in refusal(zipped(path, {"a/data.pkl": state}))
    assert sorted(file.name for file in tmp_path.iterdir()) == ["a.pth"]


def test_a_bomb_takes_no_memory(opcodes, tmp_path):
    path, state = tmp_path / "a.pth", b"\x80\x02" + opcodes.pickled({"a": np.zeros(10**7)}) + b"."
    entries = {"a/data.pkl": state, "a/data/0": bytes(8 * 10**7)}
    zipped(path, entries, zipfile.ZIP_DEFLATED)
    tracemalloc.start()
    assert "is compressed" in refusal(path)
    # an entry that says to be larger than the file, in its own header and in the directory
    data = bytearray(zipped(path, {"a/data.pkl": state}).read_bytes())
    for start in (data.index(b"PK\x03\x04") + 18, data.index(b"PK\x01\x02") + 20):
        data[start : start + 8] = b"\xf0\xff\xff\xef" * 2
    path.write_bytes(data)
    assert "its entries are larger than the file" in refusal(path)
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("a", (10**7,), "float32", compression="gzip")
        file.create_dataset("b", (10**9, 10**3), "float32", chunks=True)
    assert "its tensors would take " in refusal(tmp_path / "a.h5")
    assert tracemalloc.get_traced_memory()[1] < 2e6
    tracemalloc.stop()


def test_entries_that_share_their_bytes_are_refused(opcodes, tmp_path):
    """Read into memory, 300 entries of the same bytes would take 300 times the file."""
    count, size = 300, 100_000
    whole = np.zeros(size, "uint8")
    stream = opcodes.pickled({f"t{i}": opcodes.Tensor(whole, 0, (size,), (1,)) for i in range(2)})
    path = opcodes.zip_file(tmp_path / "a.pth", stream, [whole])
    with zipfile.ZipFile(path) as archive:
        info = archive.getinfo("archive/data/0")
    with zipfile.ZipFile(path, "a") as archive:
        for i in range(1, count):
            again = copy.copy(info)
            again.filename = again.orig_filename = f"archive/data/{i}"
            archive.filelist.append(again)
            archive.NameToInfo[again.filename] = again
        archive._didModify = True
    assert path.stat().st_size < 2 * size
    assert "its entries are larger than the file" in refusal(path)


def test_names_that_share_a_tensor_are_refused(tmp_path):
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        file.attrs["layer_names"] = [f"layer{i}".encode() for i in range(150)]
        file.create_group("layer0").create_dataset("a", data=np.zeros(1000))
        for i in range(150):
            group = file.require_group(f"layer{i}")
            group.attrs["weight_names"] = [b"../layer0/a"]
        file["layer0"].attrs["weight_names"] = [b"a", b"a"]
    assert "layer0/a" in refusal(path)


def test_names_that_share_their_bytes_are_refused(tmp_path):
    """4,000 layer names, all of them one string of 1 MB, would take 4 GB."""
    path, count, size = tmp_path / "a.h5", 4000, 10**6
    with h5py.File(path, "w") as file:
        file.attrs["long"] = b"x" * size
        file.attrs["layer_names"] = [b"y"] * count
    data = path.read_bytes()
    long = re.search(re.escape(size.to_bytes(4, "little")) + b".{12}", data, re.DOTALL)[0]
    names = re.compile(rb"(?:\x01\0\0\0.{12}){%d}" % count, re.DOTALL)
    assert len(names.findall(data)) == 1
    path.write_bytes(names.sub(lambda _: long * count, data))
    assert "its names would take 4" in refusal(path)


def test_named_types_of_hdf5_are_no_tensors(tmp_path):
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        file["kind"] = np.dtype("float32")
        file["a"] = np.arange(3.0)
    assert list(read_tensors(path)) == ["a"]
    with h5py.File(path, "w") as file:
        file["model_weights"] = np.dtype("float32")
    assert "it holds no weights" in refusal(path)


def test_odd_datasets_of_hdf5_are_refused(tmp_path):
    path = tmp_path / "a.h5"
    for make in (
        lambda file: file.create_dataset("a", data=h5py.Empty("float32")),
        lambda file: file.create_dataset("a", (2,), h5py.ref_dtype),
        lambda file: file.create_dataset("a", data=np.zeros(3, "V1")),
        lambda file: file.create_dataset("a", (2,), h5py.string_dtype()),
    ):
        with h5py.File(path, "w") as file:
            make(file).attrs["dtype"] = "bfloat16"
        refusal(path)


@pytest.mark.parametrize(
    ("kind", "shape", "size"),
    [
        *(("F8_E4M3", [4], 4), ("F8_E5M2", [4], 4), ("F8_E8M0", [4], 4), ("F4", [4], 2)),
        *(("F8_E4M3FNUZ", [4], 4), ("C64", [4], 32)),
        *(("F32", [0, 2**62], 0), ("F32", [0, 2**63], 0), ("F32", [1] * 65, 4)),
    ],
)
def test_safetensors_that_numpy_cannot_hold(kind, shape, size, tmp_path):
    entry = {"dtype": kind, "shape": shape, "data_offsets": [0, size]}
    header = json.dumps({"layer.weight": entry}).encode()
    path = tmp_path / "a.safetensors"
    path.write_bytes(len(header).to_bytes(8, "little") + header + bytes(size))
    text = refusal(path)
    assert kind == "F32" or f"layer.weight is {kind}" in text


def test_hdf5_that_refers_to_other_files(tmp_path):
    secret = tmp_path / "secret.h5"
    with h5py.File(secret, "w") as file:
        file["a"] = np.arange(3.0)
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        file["a"] = h5py.ExternalLink(str(secret), "a")
    assert "it holds no weights" in refusal(path)
    with h5py.File(path, "w") as file:
        file.attrs["layer_names"] = [b"conv"]
        file.create_group("conv").attrs["weight_names"] = [b"a"]
        file["conv/a"] = h5py.ExternalLink(str(secret), "a")
    assert "lacks conv/a" in refusal(path)
    with h5py.File(path, "w") as file:
        file.create_dataset("a", (3,), "float64", external=[(str(secret), 0, 24)])
    assert "is in another file" in refusal(path)
    with h5py.File(path, "w") as file:
        layout = h5py.VirtualLayout((3,), "float64")
        layout[:] = h5py.VirtualSource(str(secret), "a", (3,))
        file.create_virtual_dataset("a", layout)
    assert "is in another file" in refusal(path)
    with h5py.File(path, "w") as file:
        file["a"] = np.array([b"text"])
    assert "not numbers" in refusal(path)


@pytest.fixture(scope="module")
def whole_files(write_pth, tensors, tmp_path_factory):
    """A small file of each format."""
    folder = tmp_path_factory.mktemp("whole")
    few = {name: tensors[name] for name in ("conv.weight", "norm.num_batches_tracked")}
    write_pth(folder / "zip.pth", few)
    write_pth(folder / "older.pth", few, older=True)
    (folder / "arrays.pkl").write_bytes(pickle.dumps({"model": few}))
    with h5py.File(folder / "keras.h5", "w") as file:
        file["layers/conv/vars/0"] = few["conv.weight"]
    return sorted(folder.iterdir())


def test_files_cut_short(whole_files, tmp_path):
    for whole in whole_files:
        data = whole.read_bytes()
        for length in range(4, len(data), 23):
            path = tmp_path / whole.name
            path.write_bytes(data[:length])
            assert "cut short" in refusal(path) or whole.name != "zip.pth"


def test_files_with_wrong_bytes_end_in_tensors_or_a_sentence(whole_files, tmp_path):
    rng = np.random.default_rng(0)
    for whole in whole_files:
        data = np.frombuffer(whole.read_bytes(), "uint8")
        refused = 0
        for _ in range(150):
            spoiled = data.copy()
            spoiled[rng.integers(0, len(data), 3)] = rng.integers(0, 256, 3)
            path = tmp_path / whole.name
            path.write_bytes(spoiled.tobytes())
            with contextlib.suppress(InputError):
                read_tensors(path)
                continue
            refused += 1
        assert refused


@pytest.mark.parametrize("shape", [[0, 2**61], [0, 2**62], [2**62, 0]])
def test_safetensors_of_impossible_shapes_are_refused(shape, tmp_path):
    header = json.dumps({"a": {"dtype": "BF16", "shape": shape, "data_offsets": [0, 0]}}).encode()
    path = tmp_path / "a.safetensors"
    path.write_bytes(struct.pack("<Q", len(header)) + header)
    with pytest.raises(InputError, match=r"a\.safetensors: damaged.*[^.]\.$"):
        read_tensors(path)
