"""The figures of each epoch, in the run's folder."""

from __future__ import annotations

import csv
import io
import json

import keras

from ..utils.outputs import write_text
from .run_folder import RunFolder


class Figures(keras.callbacks.Callback):
    """Write the figures of all epochs to `metrics.jsonl` and `metrics.csv` after each epoch.

    Without a folder nothing is written. The figures are also in the model's `progress`, so that a
    resumed run neither repeats nor loses a line.
    """

    def __init__(self, folder: RunFolder | None) -> None:
        super().__init__()
        self.folder = folder

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        rate = float(keras.ops.convert_to_numpy(self.model.optimizer.learning_rate))
        figures = {name: float(value) for name, value in (logs or {}).items()}
        row = {"epoch": epoch + 1, "learning_rate": rate, **figures}
        rows = [*self.model.progress.get("figures", ()), row]
        self.model.progress = {**self.model.progress, "figures": rows}
        if self.folder is None:
            return
        write_text(self.folder.metrics, "".join(f"{json.dumps(each)}\n" for each in rows))
        write_text(self.folder.table, as_csv(rows))


def as_csv(rows: list[dict[str, float]]) -> str:
    """Return rows as CSV, with a column for each name in any of them."""
    columns = list(dict.fromkeys(name for row in rows for name in row))
    file = io.StringIO()
    writer = csv.DictWriter(file, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return file.getvalue()
