"""RetinaNet object detection on Keras 3."""

from __future__ import annotations

__version__ = "2.0.0.dev0"

_HOMES = {  # name: the module that defines it
    "Detections": ".detections",
    "Detector": ".detector",
    "open_dataset": ".preprocessing.source",
    "resume": ".training.run",
    "train": ".training.run",
}


def __getattr__(name: str) -> object:
    """Import a public name on first use, so that `import keras_retinanet` stays light."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOMES[name], __name__), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES])
