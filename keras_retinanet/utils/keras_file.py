"""The options in a `.keras` file, changed without loading the model."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable

from keras_retinanet.errors import InputError
from keras_retinanet.typing import StrPath
from keras_retinanet.utils.outputs import replacing

CONFIG = "config.json"


def change_options(path: StrPath, change: Callable[[dict], None]) -> None:
    """Change the options of the detector in a `.keras` file, completely or not at all.

    Args:
        change: changes the dict of options, see `models.options.DEFAULTS`, in place.

    Raises:
        InputError: the file holds no detector, or cannot be written.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            config = json.loads(archive.read(CONFIG))
            if config["class_name"] != "RetinaNet":
                raise InputError(f"{path} holds a {config['class_name']}, not a RetinaNet.")
            change(config["config"])
            with replacing(path) as part, zipfile.ZipFile(part, "w") as copy:
                for entry in archive.infolist():
                    is_config = entry.filename == CONFIG
                    copy.writestr(entry, json.dumps(config) if is_config else archive.read(entry))
    except InputError:
        raise
    except (zipfile.BadZipFile, KeyError, TypeError, ValueError):
        raise InputError(f"{path}: not a .keras file, or a damaged one.") from None


def store_thresholds(path: StrPath, thresholds: list[float]) -> None:
    """Store the least score of each label in a `.keras` file, see `PostProcess.class_thresholds`.

    Raises:
        InputError: as `change_options`.
    """

    def change(options: dict) -> None:
        options["detection"] = {**(options["detection"] or {}), "class_thresholds": thresholds}

    change_options(path, change)
