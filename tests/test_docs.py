"""docs/losses.md keeps up with the code."""

from pathlib import Path

import pytest

from keras_retinanet import assigners, detectors, losses, nms
from keras_retinanet.losses import selection

PAGE = Path(__file__).resolve().parents[1] / "docs" / "losses.md"
NAMES = [
    *losses.LOSSES,
    *selection.SELECTORS,
    *assigners.ASSIGNERS,
    *nms.NMS,
    *(f"--detector {name}" for name in detectors.DETECTORS if name != "retinanet"),
]


@pytest.mark.parametrize("name", NAMES)
def test_the_page_on_losses_has_them_all(name):
    assert f"`{name}`" in PAGE.read_text(encoding="utf-8")


def test_its_pictures_are_there():
    text = PAGE.read_text(encoding="utf-8")
    for picture in (PAGE.parent / "losses").iterdir():
        assert f"(losses/{picture.name})" in text
    assert text.count("](losses/") == len(list((PAGE.parent / "losses").iterdir()))
