import csv

import numpy as np
import pytest
from PIL import Image

from keras_retinanet.errors import InputError
from keras_retinanet.preprocessing import sample


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
    """Ten pictures with what was laid down in each: (solid mask on the whole picture, colour,
    picture before)."""
    placed = []
    find_spot = sample.find_spot

    def spy(rng, canvas, owner, areas, alpha):
        spot = find_spot(rng, canvas, owner, areas, alpha)
        if spot is not None:
            x, y, colour = spot
            mask = np.zeros(canvas.shape[:2], bool)
            mask[y : y + alpha.shape[0], x : x + alpha.shape[1]] = alpha >= 0.5
            placed.append((mask, colour, canvas.copy()))
        return spot

    monkeypatch.setattr(sample, "find_spot", spy)
    scenes = []
    for index in range(10):
        placed.clear()
        picture = sample.draw_sample(np.random.default_rng([5, index]))
        scenes.append((picture, list(placed)))
    return scenes


def test_bounds_of_a_mask():
    mask = np.zeros((6, 8), bool)
    mask[2, 3] = mask[4, 6] = True  # columns 3..6, rows 2..4
    assert sample.bounds(mask).tolist() == [3, 2, 7, 5]


def test_boxes_are_tight_to_the_pixels_of_each_object(scenes):
    for (_, boxes, labels), placed in scenes:
        assert len(boxes) == len(labels) == len(placed)
        for box, (mask, _, _) in zip(boxes, placed, strict=True):
            ys, xs = np.nonzero(mask)
            assert box.tolist() == [xs.min(), ys.min(), xs.max() + 1, ys.max() + 1]


def test_no_object_is_hidden_by_more_than_a_quarter(scenes):
    shares = []
    for _, placed in scenes:
        masks = [mask for mask, _, _ in placed]
        for i, mask in enumerate(masks):
            later = np.logical_or.reduce([np.zeros_like(mask), *masks[i + 1 :]])
            shares.append((mask & later).sum() / mask.sum())
    assert max(shares) <= 0.25
    assert max(shares) > 0.1  # they do overlap


def test_objects_stand_out_from_what_lies_under_them(scenes):
    for _, placed in scenes:
        for mask, colour, before in placed:
            apart = np.abs(before[mask] - colour).max(axis=1)  # (pixels,)
            assert (apart >= 90).mean() > 0.75  # chosen on a coarse grid of the object's square


@pytest.mark.parametrize("name", list(sample.SHAPES))
def test_longer_side_of_a_shape_is_what_was_asked_for(name):
    faces, turn = sample.SHAPES[name]
    for seed, side in enumerate((20, 60, 150)):
        alpha, tone = sample.render(faces, turn, side, np.random.default_rng(seed))
        x1, y1, x2, y2 = sample.bounds(alpha >= 0.5)
        assert abs(max(x2 - x1, y2 - y1) - side) <= 2  # thin tips are covered by less than half
        assert alpha.shape == tone.shape
        assert 0 < x1 < x2 < alpha.shape[1]


def test_many_pictures_have_many_objects_of_every_class_and_size():
    pictures = [sample.draw_sample(np.random.default_rng([3, i]))[1:] for i in range(150)]
    counts = np.array([len(boxes) for boxes, _ in pictures])
    boxes = np.concatenate([boxes for boxes, _ in pictures])
    labels = np.concatenate([labels for _, labels in pictures])
    sides = boxes[:, 2:] - boxes[:, :2]
    assert 6 < counts.mean() < 7.5
    assert 0.01 < (counts == 0).mean() < 0.1
    assert sides.min() >= 12
    assert sides.max() <= 200
    assert (sides.max(axis=1) < 20).mean() > 0.1
    assert (sides.max(axis=1) > 120).mean() > 0.1
    assert boxes.min() >= 0
    assert boxes.max() <= 256
    assert (np.bincount(labels, minlength=4) / len(labels) > 0.18).all()


def test_empty_pictures_keep_the_shapes_of_arrays(monkeypatch):
    monkeypatch.setattr(sample, "EMPTY", 1)
    image, boxes, labels = sample.draw_sample(np.random.default_rng(0), size=64)
    assert (image.shape, image.dtype) == ((64, 64, 3), np.uint8)
    assert boxes.shape == (0, 4)
    assert labels.shape == (0,)


def test_files_rows_and_classes(tmp_path, monkeypatch):
    monkeypatch.setattr(sample, "EMPTY", 0.5)
    folder = sample.write_sample(tmp_path / "new" / "set", train=6, val=2, size=96)
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
                assert name in sample.SHAPES
            else:
                assert box == [""] * 4
                assert sum(row[0] == path for row in rows) == 1
    empty = [row for row in rows_of(folder / "train.csv") if not row[-1]]
    assert 0 < len(empty) < 6


def test_same_seed_same_bytes_and_a_larger_set_begins_with_the_smaller(tmp_path):
    first = files_of(sample.write_sample(tmp_path / "a", train=3, val=2, size=96))
    again = files_of(sample.write_sample(tmp_path / "b", train=3, val=2, size=96))
    assert first == again
    larger = files_of(sample.write_sample(tmp_path / "c", train=5, val=2, size=96))
    assert all(larger[name] == first[name] for name in first if name != "train.csv")
    assert larger["train.csv"].startswith(first["train.csv"])
    other = files_of(sample.write_sample(tmp_path / "d", train=3, val=2, size=96, seed=1))
    assert other["images/train/00000.jpg"] != first["images/train/00000.jpg"]
    assert first["images/val/00000.jpg"] != first["images/train/00000.jpg"]


def test_a_set_without_images_has_empty_lists(tmp_path):
    folder = sample.write_sample(tmp_path, train=0, val=0)
    assert rows_of(folder / "train.csv") == []
    assert rows_of(folder / "val.csv") == []


@pytest.mark.parametrize("wrong", [{"size": 63}, {"train": -1}, {"val": -1}, {"seed": -1}])
def test_impossible_requests_are_named(tmp_path, wrong):
    with pytest.raises(InputError, match=f"{next(iter(wrong))}={next(iter(wrong.values()))}"):
        sample.write_sample(tmp_path / "never", **wrong)
    assert not (tmp_path / "never").exists()
