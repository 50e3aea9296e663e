"""A generator of CSV data sets."""

from typing import Any

from keras_retinanet.preprocessing.generator import Generator
from keras_retinanet.preprocessing.readers.csv import (
    _read_annotations,
    _read_classes,
    read_classes,
    read_csv,
)

__all__ = ["CSVGenerator", "_read_annotations", "_read_classes", "read_classes", "read_csv"]


class CSVGenerator(Generator):
    """Batches of a CSV data set, see `read_csv` for the files; **kwargs go to `Generator`."""

    def __init__(
        self,
        csv_data_file: str,
        csv_class_file: str | None = None,
        base_dir: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(dataset=read_csv(csv_data_file, csv_class_file, base_dir), **kwargs)
