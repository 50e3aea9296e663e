"""Options changed in a `.keras` file: everything else stays as it is, byte by byte."""

import json
import shutil
import zipfile

import pytest

from keras_retinanet.detector import Detector
from keras_retinanet.errors import InputError
from keras_retinanet.utils.keras_file import store_thresholds


def entries(path):
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def test_thresholds_are_stored_and_nothing_else_changes(snapshot, tmp_path):
    path = shutil.copy(snapshot, tmp_path / "model.keras")
    before = entries(path)
    store_thresholds(path, [0.1, 0.2, 0.3, 0.4])
    after = entries(path)
    assert before.keys() == after.keys()
    assert [name for name in after if after[name] != before[name]] == ["config.json"]
    config = json.loads(after["config.json"])
    assert config["config"]["detection"].pop("class_thresholds") == [0.1, 0.2, 0.3, 0.4]
    earlier = json.loads(before["config.json"])
    assert earlier["config"]["detection"].pop("class_thresholds", None) is None
    assert config == earlier
    assert [each.name for each in tmp_path.iterdir()] == ["model.keras"]
    held = Detector.load(path).info.postprocess
    assert tuple(held.class_thresholds) == (0.1, 0.2, 0.3, 0.4)
    assert held.score_threshold == 0.05  # evaluation still sees lower scores


@pytest.mark.parametrize("thresholds", [[0.5], [0.1, 0.2, 0.3, 1.5]])
def test_thresholds_that_do_not_fit_the_model_are_refused(snapshot, tmp_path, thresholds):
    path = shutil.copy(snapshot, tmp_path / "model.keras")
    store_thresholds(path, thresholds)
    with pytest.raises(InputError, match="threshold"):
        Detector.load(path)


def test_files_without_a_detector_are_refused_and_stay(tmp_path):
    path = tmp_path / "text.keras"
    path.write_text("no model")
    with pytest.raises(InputError, match=r"text\.keras"):
        store_thresholds(path, [0.5])
    assert path.read_text() == "no model"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("config.json", json.dumps({"class_name": "Dense", "config": {}}))
    with pytest.raises(InputError, match="holds a Dense"):
        store_thresholds(path, [0.5])
