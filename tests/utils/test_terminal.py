"""Text for a terminal: colours only where they show, and nothing that moves its cursor."""

import io

import pytest

from keras_retinanet.utils.terminal import one_line, paint


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture(autouse=True)
def usual_terminal(monkeypatch):
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("WT_SESSION", "1")


def test_a_terminal_shows_colours():
    assert paint("bad", "error", Terminal()) == "\x1b[1;31mbad\x1b[0m"


def test_pipes_have_no_colours():
    assert paint("bad", "error", io.StringIO()) == "bad"
    assert paint("bad", "error") == "bad"


@pytest.mark.parametrize(("name", "value"), [("NO_COLOR", "1"), ("TERM", "dumb")])
def test_the_user_can_turn_colours_off(monkeypatch, name, value):
    monkeypatch.setenv(name, value)
    assert paint("bad", "error", Terminal()) == "bad"


def test_control_characters_never_reach_a_terminal():
    assert one_line("\x1b[31mcat\u2028dog\n\x00\ud800 é 猫") == "?[31mcat dog ?? é 猫"


def test_long_words_lose_their_middle_and_long_texts_their_end():
    path = "/" + "a" * 5000 + "/b.csv: line 3"
    assert len(one_line(path)) < 220
    assert one_line(path).startswith("/aaa")
    assert one_line(path).endswith("aaa/b.csv: line 3")
    assert len(one_line("cat " * 5000)) == 2000
    assert one_line("a" * 200) == "a" * 200
    assert one_line("white cat", most=7) == "whit..."
