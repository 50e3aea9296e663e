"""INI files with anchors and pyramid levels.

[anchor_parameters]
sizes   = 16 32 64 128
strides = 8 16 32 64
ratios  = 0.5 1 2
scales  = 1 1.26 1.587

[pyramid_levels]
levels = 3 4 5 6
"""

from __future__ import annotations

import configparser
import io
import math
import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from keras_retinanet.errors import InputError
from keras_retinanet.utils.anchors import PYRAMID_LEVELS, AnchorParameters
from keras_retinanet.utils.outputs import write_text
from keras_retinanet.utils.text import listed, read_text

OPTIONS: dict[str, dict[str, type]] = {  # section: {option: type of its numbers}
    "anchor_parameters": {"sizes": float, "strides": int, "ratios": float, "scales": float},
    "pyramid_levels": {"levels": int},
}


class ConfigFile(configparser.ConfigParser):
    """An INI file, with its path for messages."""

    path = "config"


def read_config_file(path: str | os.PathLike) -> ConfigFile:
    """Read the file, which must have an `anchor_parameters` section.

    Raises:
        InputError: names the file, and the line or the section and option.
    """
    config = ConfigFile(interpolation=None)
    config.path = str(path)
    try:
        config.read_string(read_text(path))
    except configparser.Error as error:
        found = vars(error)  # each kind of error has `errors` or `lineno`
        line = found["errors"][0][0] if found.get("errors") else found["lineno"]
        raise InputError(
            f"{path}: line {line} cannot be read; write [section] lines and, below them, each "
            "option once as 'name = numbers'."
        ) from None
    _section(config, "anchor_parameters")
    for section in [section for section in OPTIONS if section in config]:
        for name in config[section]:
            if name not in OPTIONS[section]:
                known = listed(OPTIONS[section])
                raise InputError(f"{path}: [{section}]: unknown option {name!r}; known: {known}.")
    return config


def parse_anchor_parameters(config: Mapping) -> AnchorParameters:
    """Return the `AnchorParameters` of a config; one size and stride for every pyramid level.

    Raises:
        InputError: names the file, section and option.
    """
    values: dict[str, Any] = {
        name: _numbers(config, "anchor_parameters", name) for name in OPTIONS["anchor_parameters"]
    }
    levels = parse_pyramid_levels(config) if "pyramid_levels" in config else list(PYRAMID_LEVELS)
    for name in ("sizes", "strides"):
        if len(values[name]) != len(levels):
            raise InputError(
                f"{_path(config)}: [anchor_parameters] {name} must be one for each of the pyramid "
                f"levels {listed(levels)}, got {listed(values[name])}."
            )
    return AnchorParameters(**values)


def parse_pyramid_levels(config: Mapping) -> list[int]:
    """Return the pyramid levels of a config, such as [3, 4, 5, 6, 7].

    Raises:
        InputError: names the file, section and option.
    """
    return _numbers(config, "pyramid_levels", "levels")


def read_anchors(path: str | os.PathLike | None) -> tuple[AnchorParameters, list[int]]:
    """Return (AnchorParameters, pyramid levels) of an INI file, the defaults if `path` is None.

    Raises:
        InputError: for levels other than 2 to 7 in ascending order, and other strides than theirs.
    """
    if path is None:
        return AnchorParameters.default, list(PYRAMID_LEVELS)
    config = read_config_file(path)
    given = "pyramid_levels" in config
    levels = parse_pyramid_levels(config) if given else list(PYRAMID_LEVELS)
    anchors = parse_anchor_parameters(config)
    if levels != sorted(set(levels)) or not set(levels) <= set(range(2, 8)):
        raise InputError(
            f"{path}: [pyramid_levels] levels must be some of 2 to 7 in ascending order, "
            f"got {levels}."
        )
    strides = [2**level for level in levels]
    if anchors.strides != strides:
        raise InputError(
            f"{path}: [anchor_parameters] strides must be {strides} for the pyramid levels "
            f"{levels}, got {anchors.strides}."
        )
    return anchors, levels


def write_config(
    path: str | os.PathLike, anchor_params: AnchorParameters, pyramid_levels: Sequence[int]
) -> None:
    """Write an INI file that `read_anchors` reads back to the same values."""
    anchors = {name: getattr(anchor_params, name) for name in OPTIONS["anchor_parameters"]}
    sections = {"anchor_parameters": anchors, "pyramid_levels": {"levels": pyramid_levels}}
    config = configparser.ConfigParser(interpolation=None)
    for section, options in sections.items():
        config[section] = {name: " ".join(map(_written, row)) for name, row in options.items()}
    text = io.StringIO()
    config.write(text)
    write_text(path, text.getvalue())


def _written(number: float) -> str:
    """Return the fewest digits that read back to the same number of its type."""
    return np.format_float_positional(number, trim="-")


def _path(config: Mapping) -> str:
    return config.path if isinstance(config, ConfigFile) else "config"


def _section(config: Mapping, name: str) -> Mapping[str, str]:
    if name not in config:
        found = [section for section in config if section != configparser.DEFAULTSECT]
        raise InputError(
            f"{_path(config)} has no section [{name}], only {listed(found)}; add the section."
        )
    return config[name]


def _numbers(config: Mapping, section: str, option: str) -> list:
    """Return the numbers of an option, separated by spaces, all above 0."""
    options = _section(config, section)
    where = f"{_path(config)}: [{section}] {option}"
    if option not in options:
        raise InputError(f"{where} is missing; add the option.")
    kind = OPTIONS[section][option]
    try:
        numbers = [kind(word) for word in options[option].split()]
    except ValueError:
        numbers = []
    if not numbers or not all(math.isfinite(number) and number > 0 for number in numbers):
        what = "whole numbers" if kind is int else "numbers"
        raise InputError(
            f"{where} must be {what} above 0, separated by spaces, got {options[option]!r}."
        )
    return numbers
