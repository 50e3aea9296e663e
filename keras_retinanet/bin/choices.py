"""Choices with arguments on the command line: NAME, or NAME:argument=value,argument=value."""

import argparse
import ast
import re

INVERSE_FREQUENCY = "inverse_frequency"  # as alpha: from the data set
ARGUMENT = re.compile(r"\w+=(?:\([^()]*\)|[^,()]+)")  # name=value, the value perhaps a tuple


def choice_of(names):
    """A reader of a choice as {"name": ..., argument: ...}, for argparse."""

    def read(text):
        name, _, arguments = text.partition(":")
        if name not in names:
            raise argparse.ArgumentTypeError(
                f"expected one of {', '.join(names)}. Received: {name!r}"
            )
        pairs = [pair.split("=", 1) for pair in ARGUMENT.findall(arguments)]
        try:
            given = {key: value_of(value) for key, value in pairs}
        except (ValueError, SyntaxError):
            given = None
        whole = ",".join(map("=".join, pairs)) == arguments
        if given is None or not whole or {"name", "from_logits"} & set(given):
            raise argparse.ArgumentTypeError(
                f"expected {name}:argument=value,... Received: {text!r}"
            )
        return {"name": name, **given}

    return read


def value_of(text):
    """A number, True, False, None or a tuple of them; a word stands for itself."""
    return text if text == INVERSE_FREQUENCY else ast.literal_eval(text)
