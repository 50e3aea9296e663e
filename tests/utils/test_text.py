import pytest

from keras_retinanet.errors import InputError
from keras_retinanet.utils.text import listed, read_text


def test_read_text(tmp_path):
    path = tmp_path / "a.txt"
    path.write_bytes(b"\xef\xbb\xbfM\xc3\xbccke\r\n")
    assert read_text(path) == "M\u00fccke\r\n"
    path.write_bytes(b"")
    assert read_text(path) == ""


@pytest.mark.parametrize(
    ("data", "message"),
    [(b"a\nb\xff", "line 2 .* UTF-8"), (b"a\n\nb\0", "line 3 .* NUL byte")],
)
def test_what_is_no_text(tmp_path, data, message):
    path = tmp_path / "a.txt"
    path.write_bytes(data)
    with pytest.raises(InputError, match=f"a.txt: {message}"):
        read_text(path)


def test_files_that_cannot_be_opened(tmp_path):
    with pytest.raises(InputError, match=r"b.txt: no such file"):
        read_text(tmp_path / "b.txt")
    with pytest.raises(InputError, match="is a folder"):
        read_text(tmp_path)


def test_listed():
    assert listed([]) == "none"
    assert listed(["dog", 2]) == "dog, 2"
    assert listed("abcd", most=2) == "a, b, and 2 more"
