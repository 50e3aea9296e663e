import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_retinanet.errors import InputError
from keras_retinanet.utils.anchors import AnchorParameters
from keras_retinanet.utils.config import (
    parse_anchor_parameters,
    parse_pyramid_levels,
    read_config_file,
    write_config,
)

ANCHORS = """\
[anchor_parameters]
sizes   = 16 32 64.5
strides = 8 16 32
ratios  = 0.5 1  2 3
scales  = 1 1.2
"""
LEVELS = "[pyramid_levels]\nlevels = 3 4 5\n"


@pytest.fixture
def write(tmp_path):
    def write(text):
        (tmp_path / "config.ini").write_text(text)
        return str(tmp_path / "config.ini")

    return write


def test_anchors_and_levels(write):
    config = read_config_file(write(ANCHORS + LEVELS))
    params = parse_anchor_parameters(config)
    assert isinstance(params, AnchorParameters)
    assert list(params.sizes) == [16, 32, 64.5]
    assert list(params.strides) == [8, 16, 32]
    np.testing.assert_allclose(params.ratios, [0.5, 1, 2, 3])
    np.testing.assert_allclose(params.scales, [1, 1.2])
    assert params.num_anchors() == 8
    assert parse_pyramid_levels(config) == [3, 4, 5]
    assert "pyramid_levels" in config


def test_without_levels_there_are_five(write):
    text = ANCHORS.replace("64.5", "64 128 256").replace("8 16 32\n", "8 16 32 64 128\n")
    config = read_config_file(write(text))
    assert "pyramid_levels" not in config
    assert parse_anchor_parameters(config).strides == [8, 16, 32, 64, 128]
    with pytest.raises(InputError, match=r"config.ini has no section \[pyramid_levels\]"):
        parse_pyramid_levels(config)
    with pytest.raises(InputError, match=r"sizes .* levels 3, 4, 5, 6, 7, got 16.0, 32.0, 64.5"):
        parse_anchor_parameters(read_config_file(write(ANCHORS)))


def test_a_plain_dict_will_do():
    assert parse_pyramid_levels({"pyramid_levels": {"levels": "2 3"}}) == [2, 3]
    with pytest.raises(InputError, match=r"config has no section \[anchor_parameters\]"):
        parse_anchor_parameters({})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("sizes = 16\n", ": line 1 "),
        (ANCHORS + "nonsense\n", ": line 6 "),
        (ANCHORS + "sizes = 1 2 3\n", ": line 6 .* once"),
        (ANCHORS + ANCHORS, ": line 6 "),
        ("", r" .* \[anchor_parameters\], only none"),
        (LEVELS, r" .* \[anchor_parameters\], only pyramid_levels"),
        (ANCHORS + "size = 16\n", r": \[anchor_parameters\]: .* 'size'; known: sizes"),
        (ANCHORS + LEVELS + "level = 3\n", r": \[pyramid_levels\]: unknown option 'level'"),
    ],
)
def test_errors_of_the_file(write, text, message):
    with pytest.raises(InputError, match=f"config.ini{message}"):
        read_config_file(write(text))


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("scales  = 1 1.2", "", "scales is missing"),
        ("scales  = 1 1.2", "scales =", "scales .* above 0.* got ''"),
        ("1 1.2", "1 big", "scales .* above 0.* got '1 big'"),
        ("0.5 1", "0 1", "ratios .* above 0.* got '0 1 "),
        ("1 1.2", "1 nan", "scales .* above 0.* got '1 nan'"),
        ("8 16 32\n", "8 16.5 32\n", "strides .* whole numbers above 0"),
        ("8 16 32\n", "8 16\n", "strides .* 3, 4, 5, got 8, 16"),
        ("16 32 64.5", "16 32", "sizes .* got 16.0, 32.0"),
    ],
)
def test_errors_of_anchor_parameters(write, old, new, message):
    assert old in ANCHORS
    config = read_config_file(write(ANCHORS.replace(old, new) + LEVELS))
    with pytest.raises(InputError, match=rf"config.ini: \[anchor_parameters\] {message}"):
        parse_anchor_parameters(config)


@pytest.mark.parametrize("levels", ["", "3 four", "3.5", "0 1"])
def test_errors_of_levels(write, levels):
    config = read_config_file(write(ANCHORS + f"[pyramid_levels]\nlevels = {levels}\n"))
    with pytest.raises(InputError, match=r"config.ini: \[pyramid_levels\] levels must be whole"):
        parse_pyramid_levels(config)


def test_a_missing_file(tmp_path):
    with pytest.raises(InputError, match=r"nowhere.ini: no such file"):
        read_config_file(str(tmp_path / "nowhere.ini"))


def test_a_written_file_by_hand(tmp_path):
    path = tmp_path / "anchors.ini"
    write_config(path, AnchorParameters([20, 40.5], [8, 16], [0.673, 1], [1, 2 ** (1 / 3)]), [3, 4])
    assert path.read_text().split("\n") == [
        "[anchor_parameters]",
        "sizes = 20 40.5",
        "strides = 8 16",
        "ratios = 0.673 1",
        "scales = 1 1.2599211",
        "",
        "[pyramid_levels]",
        "levels = 3 4",
        "",
        "",
    ]


NUMBERS = st.floats(1e-6, 1e6)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(NUMBERS, st.integers(2, 7)), min_size=1, max_size=5),
    st.lists(NUMBERS, min_size=1, max_size=4),
    st.lists(NUMBERS, min_size=1, max_size=4),
)
def test_what_is_written_reads_back_the_same(tmp_path_factory, levels, ratios, scales):
    path = tmp_path_factory.getbasetemp() / "anchors.ini"
    sizes, levels = zip(*levels, strict=True)
    params = AnchorParameters(sizes, [2**level for level in levels], ratios, scales)
    write_config(path, params, levels)
    config = read_config_file(path)
    assert parse_anchor_parameters(config).get_config() == params.get_config()
    assert parse_pyramid_levels(config) == list(levels)


def test_the_defaults_read_back_the_same(tmp_path):
    write_config(tmp_path / "anchors.ini", AnchorParameters.default, [3, 4, 5, 6, 7])
    again = parse_anchor_parameters(read_config_file(tmp_path / "anchors.ini"))
    assert again.get_config() == AnchorParameters.default.get_config()
