"""The INI file of `--config`: anchors and pyramid levels.

[anchor_parameters]
sizes   = 16 32 64 128
strides = 8 16 32 64
ratios  = 0.5 1 2
scales  = 1 1.26 1.587

[pyramid_levels]
levels = 3 4 5 6
"""

import configparser
import io
import math

import numpy as np

from keras_retinanet.errors import InputError
from keras_retinanet.utils.anchors import PYRAMID_LEVELS, AnchorParameters
from keras_retinanet.utils.outputs import write_text
from keras_retinanet.utils.text import listed, read_text

OPTIONS = {  # section: {option: type of its numbers}
    "anchor_parameters": {"sizes": float, "strides": int, "ratios": float, "scales": float},
    "pyramid_levels": {"levels": int},
}


def read_config_file(path):
    """The file as a `configparser.ConfigParser` that has an `anchor_parameters` section.

    Raises:
        InputError: names the file, and the line or the section and option.
    """
    config = configparser.ConfigParser(interpolation=None)
    config.path = str(path)  # for the messages of the functions below
    try:
        config.read_string(read_text(path))
    except configparser.Error as error:
        line = error.errors[0][0] if getattr(error, "errors", None) else error.lineno
        raise InputError(
            f"{path}: line {line}: expected [section] lines and, below them, each option once as "
            "'name = numbers'"
        ) from None
    _section(config, "anchor_parameters")
    for section in [section for section in OPTIONS if section in config]:
        for name in config[section]:
            if name not in OPTIONS[section]:
                known = listed(OPTIONS[section])
                raise InputError(f"{path}: [{section}]: unknown option {name!r} (options: {known})")
    return config


def parse_anchor_parameters(config):
    """The `AnchorParameters` of a config; one size and stride for every pyramid level.

    Raises:
        InputError: names the file, section and option.
    """
    values = {
        name: _numbers(config, "anchor_parameters", name) for name in OPTIONS["anchor_parameters"]
    }
    levels = parse_pyramid_levels(config) if "pyramid_levels" in config else list(PYRAMID_LEVELS)
    for name in ("sizes", "strides"):
        if len(values[name]) != len(levels):
            raise InputError(
                f"{_path(config)}: [anchor_parameters] {name}: expected one for each pyramid "
                f"level of {listed(levels)}. Received: {listed(values[name])}"
            )
    return AnchorParameters(**values)


def parse_pyramid_levels(config):
    """The pyramid levels of a config, such as [3, 4, 5, 6, 7].

    Raises:
        InputError: names the file, section and option.
    """
    return _numbers(config, "pyramid_levels", "levels")


def write_config(path, anchor_params, pyramid_levels):
    """Writes the file from which the functions above read the same values."""
    anchors = {name: getattr(anchor_params, name) for name in OPTIONS["anchor_parameters"]}
    sections = {"anchor_parameters": anchors, "pyramid_levels": {"levels": pyramid_levels}}
    config = configparser.ConfigParser(interpolation=None)
    for section, options in sections.items():
        config[section] = {name: " ".join(map(_written, row)) for name, row in options.items()}
    text = io.StringIO()
    config.write(text)
    write_text(path, text.getvalue())


def _written(number):
    """The fewest digits that read back to the same number of its type."""
    return np.format_float_positional(number, trim="-")


def _path(config):
    return getattr(config, "path", "config")


def _section(config, name):
    if name not in config:
        found = [section for section in config if section != configparser.DEFAULTSECT]
        raise InputError(f"{_path(config)}: expected a section [{name}] (found: {listed(found)})")
    return config[name]


def _numbers(config, section, option):
    """The numbers of an option, separated by spaces, all above 0."""
    options = _section(config, section)
    where = f"{_path(config)}: [{section}] {option}"
    if option not in options:
        raise InputError(f"{where}: expected this option")
    kind = OPTIONS[section][option]
    try:
        numbers = [kind(word) for word in options[option].split()]
    except ValueError:
        numbers = []
    if not numbers or not all(math.isfinite(number) and number > 0 for number in numbers):
        what = "whole numbers" if kind is int else "numbers"
        raise InputError(
            f"{where}: expected {what} above 0, separated by spaces. Received: {options[option]!r}"
        )
    return numbers
