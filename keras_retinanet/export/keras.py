"""Write an inference model as a .keras file."""

from __future__ import annotations

from pathlib import Path

from ..models import RetinaNet
from ..training.snapshots import save_whole
from .formats import Target


def export_keras(model: RetinaNet, path: Path, target: Target = Target()) -> None:
    """Write an inference model as a `.keras` file, completely or not at all."""
    save_whole(model, path)
