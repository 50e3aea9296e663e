"""A data set and its detections survive the way through COCO's files."""

import numpy as np
import pytest

from keras_retinanet.evaluation.coco import ground_truth, results
from keras_retinanet.evaluation.matching import match
from keras_retinanet.evaluation.result_detections import dataset_of, detections_of

from .cases import random_case


@pytest.mark.parametrize("seed", range(3))
def test_the_matching_is_that_of_the_data_set(seed):
    data, found = random_case(seed)
    again = dataset_of(ground_truth(data), "folder")
    assert sorted(again.category_ids) == sorted(data.category_ids)
    of_file = match(again, detections_of(again, results(data, found)))
    direct = match(data, found)
    for matching in (of_file, direct):
        assert matching.found.right.any()
    names = np.array(direct.class_names)[direct.found.label]
    assert (np.array(of_file.class_names)[of_file.found.label] == names).all()
    np.testing.assert_allclose(of_file.found.score, direct.found.score)
    np.testing.assert_array_equal(of_file.found.object, direct.found.object)
    np.testing.assert_array_equal(of_file.found.ignored, direct.found.ignored)
    np.testing.assert_allclose(of_file.objects.area, direct.objects.area, rtol=1e-3)
    assert again.records[0].path == "folder/images/a.jpg"
    assert again.records[0].size == (640, 480)


def test_images_without_size_name_or_rows():
    truth = {
        "images": [{"id": 3}],
        "annotations": [],
        "categories": [{"id": 1, "name": "cat"}],
    }
    data = dataset_of(truth)
    assert (data.records[0].path, data.records[0].size) == ("3", None)
    [found] = detections_of(data, [])
    assert found.boxes.shape == (0, 4)
