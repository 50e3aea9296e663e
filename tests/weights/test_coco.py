"""The names of COCO's classes."""

import pytest

from keras_retinanet.errors import InputError
from keras_retinanet.weights.coco import COCO, COCO_80, coco_91, names_for

pytestmark = pytest.mark.core

UNUSED = [0, 12, 26, 29, 30, 45, 66, 68, 69, 71, 83]  # of the category ids up to 90


def test_there_are_80_in_the_order_of_their_ids():
    assert len(set(COCO_80)) == 80
    assert (COCO_80[0], COCO_80[11], COCO_80[79]) == ("person", "stop sign", "toothbrush")
    assert list(COCO) == sorted(set(range(91)) - set(UNUSED))


def test_91_rows_are_the_category_ids():
    names = coco_91()
    assert len(set(names)) == 91
    assert [i for i, name in enumerate(names) if name.startswith("unused")] == UNUSED
    assert [name for name in names if name in COCO_80] == COCO_80


@pytest.mark.core
def test_they_are_torchvisions(torchvision):
    names = coco_91()
    for i, name in enumerate(torchvision.models._meta._COCO_CATEGORIES):
        assert names[i] == (f"unused {i}" if name in ("__background__", "N/A") else name)


def test_names_for_a_file():
    assert names_for("FILE", 80) == COCO_80
    assert names_for("FILE", 91, known=coco_91()) == coco_91()
    assert names_for("FILE", 3) is None
    assert names_for("FILE", 2, ["cat", "dog"]) == ["cat", "dog"]
    with pytest.raises(InputError, match=r"FILE: needs 3 class names, got 2 \(cat, dog\)"):
        names_for("FILE", 3, ["cat", "dog"])
