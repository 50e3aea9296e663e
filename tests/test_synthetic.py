import csv
from itertools import pairwise

import cv2
import numpy as np
import pytest
from PIL import Image

from keras_retinanet import synthetic
from keras_retinanet.errors import InputError


def rows_of(path):
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.reader(file))


def files_of(folder):
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.fixture
def scenes(monkeypatch):
    """Ten scenes (image, objects, steps); a step is an object's mask on the whole image (H, W),
    its colour (3,) and the image before the object is drawn (H, W, 3)."""
    steps, find_place = [], synthetic.find_place

    def spy(rng, image, visible, spare, mask):
        place = find_place(rng, image, visible, spare, mask)
        if place is not None:
            window, colour = place
            whole = np.zeros(image.shape[:2], bool)
            whole[window] = mask
            steps.append((whole, colour, image.copy()))
        return place

    monkeypatch.setattr(synthetic, "find_place", spy)
    scenes = []
    for index in range(10):
        steps.clear()
        image, objects = synthetic.draw_image(np.random.default_rng([5, index]), 256)
        scenes.append((image, objects, list(steps)))
    return scenes


def test_boxes_are_tight_to_the_pixels_of_each_object(scenes):
    for _, objects, steps in scenes:
        for (_, box), (mask, _, _) in zip(objects, steps, strict=True):
            ys, xs = np.nonzero(mask)
            assert box == (xs.min(), ys.min(), xs.max() + 1, ys.max() + 1)


def test_drawing_changes_only_the_object_its_edge_and_its_shadow(scenes):
    changed, shaded = [], 0
    for _, _, steps in scenes:
        for (mask, _, before), (_, _, after) in pairwise(steps):
            different = (before != after).any(axis=-1)
            changed.append(different[mask].mean())
            edge = cv2.dilate(mask.astype("uint8"), np.ones((3, 3))) > 0
            shadow = different & ~edge
            assert (after[shadow] < before[shadow] + 1e-3).all()
            assert (after[shadow] >= 0.599 * before[shadow]).all()
            shaded += shadow.any()
    assert min(changed) > 0.9
    assert shaded > 0.9 * len(changed)


def test_no_object_is_covered_by_more_than_a_quarter(scenes):
    shares = []
    for _, _, steps in scenes:
        masks = [mask for mask, _, _ in steps]
        for i, mask in enumerate(masks):
            later = np.logical_or.reduce([np.zeros_like(mask), *masks[i + 1 :]])
            shares.append((mask & later).sum() / mask.sum())
    assert max(shares) <= 0.25
    assert max(shares) > 0.1  # some do overlap


def test_colours_contrast_with_the_pixels_under_them(scenes):
    for _, _, steps in scenes:
        for mask, colour, before in steps:
            contrast = np.abs(before[mask] - colour).max(axis=1)  # (pixels,)
            assert (
                contrast >= synthetic.CONTRAST
            ).mean() > 0.75  # at least 0.9 of the pixels that are compared


@pytest.mark.parametrize("name", list(synthetic.SHAPES))
def test_longer_side_of_an_object_equals_the_request(name):
    for seed, side in enumerate((20, 60, 150)):
        alpha, light = synthetic.render(np.random.default_rng(seed), name, side)
        x, y, width, height = cv2.boundingRect((alpha >= 0.5).astype("uint8"))
        assert side - 1 <= max(width, height) <= side + 1
        assert alpha.shape == light.shape
        assert 0 < x < 3
        assert 0 < y < 3
        assert 0 <= alpha.min() < alpha.max() <= 1


def test_star_has_an_outline_and_five_light_faces():
    polygons = synthetic.star(np.random.default_rng(0))
    outline = polygons[0][0]
    np.testing.assert_allclose(np.linalg.norm(outline[::2], axis=1), 1)
    np.testing.assert_allclose(outline[0], (0, -1), atol=1e-12)
    assert len(polygons) == 6


def test_data_has_many_objects_of_every_class_and_size():
    scenes = [synthetic.draw_image(np.random.default_rng([3, i]), 256)[1] for i in range(150)]
    counts = np.array([len(objects) for objects in scenes])
    boxes = np.array([box for objects in scenes for _, box in objects])
    names = [name for objects in scenes for name, _ in objects]
    sides = boxes[:, 2:] - boxes[:, :2]
    assert 6 < counts.mean() < 7.5
    assert 0.01 < (counts == 0).mean() < 0.1
    assert sides.min() >= 12
    assert sides.max() <= 200
    assert (sides.max(axis=1) < 20).mean() > 0.1
    assert (sides.max(axis=1) > 120).mean() > 0.1
    assert boxes.min() >= 0
    assert boxes.max() <= 256
    assert all(names.count(name) > 0.18 * len(names) for name in synthetic.SHAPES)


def test_empty_images_have_no_objects(monkeypatch):
    monkeypatch.setattr(synthetic, "EMPTY", 1)
    image, objects = synthetic.draw_image(np.random.default_rng(0), size=64)
    assert (image.shape, image.dtype) == ((64, 64, 3), np.uint8)
    assert objects == []


def test_rows_name_every_image_and_valid_boxes(tmp_path, monkeypatch):
    monkeypatch.setattr(synthetic, "EMPTY", 0.5)
    folder = synthetic.write_synthetic(tmp_path / "new" / "set", train=6, val=2, size=96)
    assert rows_of(folder / "classes.csv") == [
        ["ball", "0"],
        ["crate", "1"],
        ["tent", "2"],
        ["star", "3"],
    ]
    for split, count in {"train": 6, "val": 2}.items():
        rows = rows_of(folder / f"{split}.csv")
        assert {row[0] for row in rows} == {f"images/{split}/{i:05d}.jpg" for i in range(count)}
        for path, *box, name in rows:
            with Image.open(folder / path) as image:
                assert image.size == (96, 96)
            if name:
                x1, y1, x2, y2 = map(int, box)
                assert 0 <= x1 < x2 <= 96
                assert 0 <= y1 < y2 <= 96
                assert name in synthetic.SHAPES
            else:
                assert box == [""] * 4
                assert sum(row[0] == path for row in rows) == 1
    empty = [row for row in rows_of(folder / "train.csv") if not row[-1]]
    assert 0 < len(empty) < 6


def test_same_seed_gives_same_bytes_for_any_number_of_images(tmp_path):
    first = files_of(synthetic.write_synthetic(tmp_path / "a", train=3, val=2, size=96))
    again = files_of(synthetic.write_synthetic(tmp_path / "b", train=3, val=2, size=96))
    assert first == again
    larger = files_of(synthetic.write_synthetic(tmp_path / "c", train=5, val=2, size=96))
    assert all(larger[name] == first[name] for name in first if name != "train.csv")
    assert larger["train.csv"].startswith(first["train.csv"])
    other = files_of(synthetic.write_synthetic(tmp_path / "d", train=3, val=2, size=96, seed=1))
    assert other["images/train/00000.jpg"] != first["images/train/00000.jpg"]
    assert first["images/val/00000.jpg"] != first["images/train/00000.jpg"]


def test_no_images_give_empty_tables(tmp_path):
    folder = synthetic.write_synthetic(tmp_path, train=0, val=0)
    assert rows_of(folder / "train.csv") == []
    assert rows_of(folder / "val.csv") == []


@pytest.mark.parametrize("wrong", [{"size": 63}, {"train": -1}, {"val": -1}, {"seed": -1}])
def test_values_out_of_range_are_refused(tmp_path, wrong):
    with pytest.raises(InputError, match=f"{next(iter(wrong))}={next(iter(wrong.values()))}"):
        synthetic.write_synthetic(tmp_path / "never", **wrong)
    assert not (tmp_path / "never").exists()
