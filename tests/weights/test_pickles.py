"""Hostile pickles, which are never executed and end in one sentence, and values of good ones."""

import contextlib
import io
import pickle
import time
import tracemalloc

import numpy as np
import pytest

from keras_retinanet.errors import InputError
from keras_retinanet.weights import allowed, torch_files
from keras_retinanet.weights.files import read_tensors
from keras_retinanet.weights.pickles import read_pickle

pytestmark = pytest.mark.core


@pytest.fixture
def canary(tmp_path):
    """The path of a file that the hostile pickles would make."""
    return tmp_path / "canary"


def read(stream):
    return read_pickle(io.BytesIO(stream), "FILE")


def refusal(stream):
    with pytest.raises(InputError) as error:
        read(stream)
    text = str(error.value)
    assert text.startswith("FILE: ")
    assert "\n" not in text
    return text


def text(value):
    data = str(value).encode()
    return b"X" + len(data).to_bytes(4, "little") + data


def short(value):
    return b"\x8c" + bytes([len(value)]) + value.encode()


# each would make the file; they differ in how the function comes to be called
HOSTILE = {
    "GLOBAL, REDUCE": lambda file: b"cbuiltins\nopen\n(" + text(file) + text("w") + b"tR.",
    "Python 2's name": lambda file: b"c__builtin__\nopen\n(" + text(file) + text("w") + b"tR.",
    "STACK_GLOBAL": lambda file: (
        b"\x80\x04" + short("builtins") + short("open") + b"\x93(" + text(file) + text("w") + b"tR."
    ),
    "a name with dots": lambda file: (
        b"\x80\x04" + short("os") + short("path.os.mkdir") + b"\x93(" + text(file) + b"tR."
    ),
    "INST": lambda file: b"(" + text(file) + text("w") + b"ibuiltins\nopen\n.",
    "OBJ": lambda file: b"(cio\nFileIO\n" + text(file) + text("w") + b"o.",
    "NEWOBJ_EX": lambda file: (
        b"\x80\x04cbuiltins\neval\n(" + text(f"open({str(file)!r}, 'w')") + b"tR}\x92."
    ),
    "eval": lambda file: b"cbuiltins\neval\n(" + text(f"open({str(file)!r}, 'w')") + b"tR.",
    "os.system": lambda file: b"cos\nsystem\n(" + text(f"echo > '{file}'") + b"tR.",
    "the method of a module": lambda file: (
        b"cbuiltins\ngetattr\n(cbuiltins\n__import__\n(" + text("os") + b"tR" + text("mkdir")
        + b"tR(" + text(file) + b"tR."
    ),
    "within the arguments of a call": lambda file: (
        b"ccollections\nOrderedDict\n((cos\nmkdir\n(" + text(file) + b"tRtR."
    ),
    "within a state": lambda file: (
        b"ccollections\nOrderedDict\n)R}" + text("x") + b"cos\nmkdir\n(" + text(file) + b"tRsb."
    ),
    "thrown away at once": lambda file: b"cos\nmkdir\n(" + text(file) + b"tR0}.",
}  # fmt: skip


@pytest.mark.parametrize("kind", HOSTILE)
def test_hostile_pickles_are_refused_and_not_run(kind, canary):
    stream = HOSTILE[kind](canary)
    assert "FILE: it asks to run " in refusal(stream)
    assert not canary.exists()
    with contextlib.suppress(TypeError, pickle.UnpicklingError):
        pickle.loads(stream)  # it is a real one: Python's own reader runs it
    assert canary.exists()


def test_the_refusal_names_what_was_asked_for():
    assert refusal(b"cos\nsystem\n.") == (
        "FILE: it asks to run os.system, which weights never need; do not use the file."
    )
    whole = refusal(b"\x80\x02c__main__\nDetector\n)\x81.")
    assert whole.endswith("save the module's state_dict() instead.")
    odd = refusal(b"cos\nsys\x1b[2Jtem\n.")
    assert "os.sys?[2Jtem" in odd  # nothing that a terminal would obey


def test_allowed_names_lead_nowhere(canary):
    # what Python's reader would follow from an allowed class to a call
    attribute = b"cbuiltins\ngetattr\n(ccollections\nOrderedDict\n" + text("fromkeys") + b"tR."
    assert "attribute" in refusal(attribute)
    path = b"cpathlib\nPosixPath\n(" + text(canary) + b"tR"
    touched = b"cbuiltins\ngetattr\n(" + path + text("touch") + b"tR)R."
    assert isinstance(read(touched), allowed.Inert)
    assert not canary.exists()
    pickle.loads(touched)
    assert canary.exists()


def test_states_change_no_function_and_no_class():
    # Python's reader would set attributes of the very function of this process
    assert "state" in refusal(b"c_codecs\nencode\n}" + text("__doc__") + b"Nsb.")
    assert "state" in refusal(b"ccollections\nOrderedDict\n}" + text("x") + b"Nsb.")
    for table in (allowed.CALLS, allowed.STORAGES):
        assert not table.keys() & allowed.INERT


MALFORMED = [
    *(b"", b".", b"\x80\x02", b"\x80\x02}", b"}X\xff\xff\xff\x7fabc", b"t.", b"0.", b"}u."),
    *(b"h\x05.", b"\x82\x01.", b"\x97.", b"\xff", b"]K\x01s.", b"}K\x01a.", b"(K\x01d."),
    *(b"K\x01}b.", b"I9\n", b"K\x01Q.", b"Pabc\n.", b"\x93.", b"K\x01K\x02\x93.", b"K\x01)R."),
    *(b"(K\x01K\x02K\x03d.", b"\x8a\xff", b"\x8b\xff\xff\xff\xff.", b"F1e\n."),
    b"ctorch\nFloatStorage\n)R.",
    b"c_codecs\nencode\n(K\x01K\x02tR.",
    b"cnumpy\ndtype\n(" + text("O8") + b"tR.",
    b"cnumpy\ndtype\n(](K\x01etR.",
    b"ccollections\nOrderedDict\n(" + text("ab") + b"tR.",
]  # fmt: skip


@pytest.mark.parametrize("stream", MALFORMED)
def test_malformed_pickles_end_in_one_sentence(stream):
    assert "damaged" in refusal(stream)


def test_sizes_that_are_not_there_take_no_memory():
    encoded = b"c_codecs\nencode\n(" + text("x" * 100_000) + b"q\x01" + text("latin1") + b"q\x02tR"
    again = b"c_codecs\nencode\n(h\x01h\x02tR"
    streams = {
        "bytes": b"\x80\x04\x8e" + (2**62).to_bytes(8, "little") + b"abc.",
        "text": b"\x80\x04\x8d" + (2**62).to_bytes(8, "little") + b"abc.",
        "place in the memo": b"Nr\xff\xff\xff\xff0}.",
        "copies": encoded + again * 10_000 + b".",
        "array": b"cnumpy.core.multiarray\nscalar\n(cnumpy\ndtype\n(" + text("f8") + b"tR"
        + b"C\x01atR.",
    }  # fmt: skip
    tracemalloc.start()
    for name, stream in streams.items():
        assert "damaged" in refusal(stream), name
    assert tracemalloc.get_traced_memory()[1] < 4e6
    tracemalloc.stop()


def test_a_value_is_not_walked_over_and_over():
    pairs = b"(" + b"K\x01N\x86" * 10_000 + b"tq\x000"
    stream = pairs + b"cbuiltins\ndict\nq\x010" + b"h\x01h\x00\x85R0" * 100_000 + b"N."
    start = time.perf_counter()
    assert "damaged" in refusal(stream)
    assert time.perf_counter() - start < 20  # 10,000 entries for each of 100,000 dicts


def test_a_pickle_has_an_end(monkeypatch):
    monkeypatch.setattr("keras_retinanet.weights.pickles.MOST", 1000)
    assert read(b"(" + b"N" * 990 + b"l.") == [None] * 990
    assert "1,000 pickle instructions" in refusal(b"(" + b"N" * 1000 + b"l.")


def test_values_may_lie_within_each_other_deeply():
    # as the key of a dict, 100,000 tuples would end the process in hash()
    stream = b"}" + b")" + b"\x85" * 100_000 + b"K\x01s" + text("a") + b"K\x02s."
    assert read(stream) == {"a": 2}


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_plain_values_and_arrays_are_as_python_reads_them(protocol):
    plain = {
        "numbers": [0, 1, -1, 255, 256, 2**31, -(2**40), 2**200, 1.5, -0.0, True, False, None],
        "text": ["", "é", "a" * 300, "\n\\'\""],
        "bytes": [b"", b"\x00\xff" * 200],
        "tuples": [(), (1,), (1, 2), (1, 2, 3), (1, 2, 3, 4), [[], {}]],
        "complex": 1 - 2j,
        3: {"nested": {"deep": []}},
    }
    plain["again"] = plain["text"]
    assert read(pickle.dumps(plain, protocol)) == plain
    assert sorted(read(pickle.dumps({3, 1, 2}, protocol))) == [1, 2, 3]
    rng = np.random.default_rng(0)
    arrays = [
        rng.normal(size=(2, 3, 4)).astype("float32"),
        np.asfortranarray(rng.normal(size=(3, 5))),
        rng.integers(0, 9, (4,)).astype(">i2"),
        np.zeros((0, 3), "uint8"),
        np.array(True),
        np.float16(2.5),
        rng.normal(size=(4, 6))[::2, ::3],
    ]
    for array in arrays:
        found = read(pickle.dumps(array, protocol)).value
        np.testing.assert_array_equal(found, array)
        assert found.dtype == array.dtype


def test_arrays_of_python_2_are_text_in_latin1():
    # pickle.dumps(numpy.arange(3, dtype="<i2"), 2) of Python 2, whose strings are bytes
    stream = (
        b"\x80\x02cnumpy.core.multiarray\n_reconstruct\nq\x00cnumpy\nndarray\nq\x01K\x00\x85U\x01b"
        b"\x87R(K\x01K\x03\x85cnumpy\ndtype\nU\x02i2K\x00K\x01\x87R(K\x03U\x01<NNNJ\xff\xff\xff\xff"
        b"J\xff\xff\xff\xffK\x00tb\x89U\x06\x00\x00\x01\x00\x02\x00tb."
    )
    np.testing.assert_array_equal(read(stream).value, np.arange(3, dtype="<i2"))
    np.testing.assert_array_equal(pickle.loads(stream, encoding="latin1"), [0, 1, 2])


def test_logs_of_mmengine_are_left_out(opcodes, tmp_path):
    """As HistoryBuffer pickles itself: by NEWOBJ, and its methods by getattr on the class."""
    buffer = opcodes.Global("mmengine.logging.history_buffer", "HistoryBuffer")
    least = opcodes.Call(opcodes.Global("__builtin__", "getattr"), (buffer, "min"))
    state = {"max_length": 1000, "statistics_methods": {"min": least}, "_log_history": [1.0]}
    log = opcodes.Call(buffer, (), state)
    content = {"message_hub": {"log_scalars": {"loss": log}}, "state_dict": {"a": np.ones(2, "f4")}}
    storages = []
    stream = opcodes.pickled(content, storages)
    path = opcodes.zip_file(tmp_path / "epoch_12.pth", stream, storages)
    np.testing.assert_array_equal(read_tensors(path)["a"], [1, 1])


NESTED = b")" + b"\x85" * 100_000  # a tuple in a tuple and so on
SHARED = b")q\x000" + b"h\x00h\x00\x86q\x000" * 64 + b"h\x00"  # 65 tuples, 2**64 to a walk
STORAGE = b"(" + text("storage") + b"ctorch\nFloatStorage\n" + text("0") + text("cpu") + b"K\x01tQ"


ENDLESS = pytest.mark.parametrize("value", [NESTED, SHARED], ids=["nested", "shared"])


@ENDLESS
@pytest.mark.parametrize(
    "stream",
    [
        b"(" + text("storage") + b"ctorch\nFloatStorage\nVALUE" + text("cpu") + b"K\x01tQ.",
        b"c_codecs\nencode\n(" + text("a") + b"VALUEtR.",
        b"cnumpy\ndtype\n(VALUEtR.",
        b"cnumpy\ndtype\n(" + text("f8") + b"tR(K\x01VALUEtb.",
        b"VALUEVALUE\x93.",
    ],
    ids=["the key of a storage", "an encoding", "a type", "a byte order", "a name"],
)
def test_endless_values_are_refused(stream, value):
    assert "damaged, or not a pickle of tensors" in refusal(stream.replace(b"VALUE", value))


@ENDLESS
@pytest.mark.parametrize(
    "stream",
    [
        b"}(VALUEN" + text("a") + b"K\x01u.",
        b"ccollections\nOrderedDict\n(](VALUEN\x86" + text("a") + b"K\x01\x86etR.",
    ],
    ids=["an entry", "a pair"],
)
def test_endless_keys_are_not_hashed(stream, value):
    assert read(stream.replace(b"VALUE", value)) == {"a": 1}


@ENDLESS
@pytest.mark.parametrize("stream", [b"\x8f(VALUEN\x90.", b"(VALUEN\x91."], ids=["set", "frozenset"])
def test_endless_members_of_sets_are_not_hashed(stream, value):
    found = read(stream.replace(b"VALUE", value))
    assert type(found) is list
    assert len(found) == 2


@ENDLESS
def test_endless_shapes_are_refused(value):
    shape = b"(" + value + b"t(K\x01t\x89}tR."  # and strides
    view = read(b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n(" + STORAGE + b"K\x00" + shape)
    with pytest.raises(InputError, match=r"a\.pth: weight: a tensor of a damaged shape"):
        torch_files._arrays("a.pth", {"weight": view}, lambda key: bytes(4))


@pytest.mark.parametrize("value", [b"K\x01", b"]", b")", STORAGE, b"ctorch\nFloatStorage\n"])
def test_values_without_a_state_refuse_one(value):
    attributes = b"}" + text("dtype") + text("float64") + b"s"
    assert "damaged" in refusal(value + attributes + b"b.")
    assert "damaged" in refusal(value + b"N" + attributes + b"\x86b.")  # of slots


@pytest.mark.parametrize("value", [b"}", b"cbuiltins\nobject\n", b"cbuiltins\nobject\n)R"])
def test_states_of_dicts_and_of_what_is_left_out_are_ignored(value):
    attributes = b"}" + text("__setitem__") + b"Ns"
    before = [dict(vars(kind)) for kind in (allowed.Dict, allowed.Inert)]
    for state in (attributes, b"N" + attributes + b"\x86"):
        found = read(value + state + b"b.")
        assert not getattr(found, "__dict__", None) or found is allowed.Inert
    assert [dict(vars(kind)) for kind in (allowed.Dict, allowed.Inert)] == before


def test_a_message_quotes_little():
    assert len(refusal(b"c" + b"a" * 10_000 + b"\n" + b"b" * 10_000 + b"\n.")) < 250
    assert len(refusal(b"cnumpy\ndtype\n(" + text("a" * 10_000) + b"tR.")) < 250
