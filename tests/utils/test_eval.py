"""Evaluation of a generator, of today's kind and of an old script's."""

import numpy as np
import pytest
from PIL import Image

from keras_retinanet.preprocessing.dataset import Dataset, checked, make_record
from keras_retinanet.preprocessing.generator import Generator
from keras_retinanet.utils.coco_eval import evaluate_coco
from keras_retinanet.utils.eval import evaluate

BOXES = [[(0, 0, 16, 16), (30, 10, 60, 44)], [], [(5, 5, 41, 40)]]
LABELS = [[0, 1], [], [1]]


class Old(Generator):
    """Three grey images of 64 x 48 px, as an old script would give them; names are optional."""

    def size(self):
        return 3

    def num_classes(self):
        return 2

    def load_image(self, image_index):
        return np.full((48, 64, 3), 50 * image_index, "uint8")

    def image_path(self, image_index):
        return f"{image_index}.png"

    def load_annotations(self, image_index):
        boxes = np.array(BOXES[image_index], "float64").reshape(-1, 4)
        return {"labels": np.array(LABELS[image_index], "float64"), "bboxes": boxes}


class Named(Old):
    def label_to_name(self, label):
        return ["cat", "dog"][int(label)]


class Knowing:
    """A model that gives the boxes of the image whose grey it sees, but those of `misses`."""

    def __init__(self, misses=(), extra=0, scale=1.0):
        self.misses, self.extra, self.scale = misses, extra, scale

    def predict_on_batch(self, images):
        boxes = np.full((len(images), 4, 4), -1, "float32")
        scores = np.full((len(images), 4), -1, "float32")
        labels = np.full((len(images), 4), -1, "int32")
        for row, image in enumerate(images):
            index = round(float(image[0, 0, 0]) / 50)
            for place, (box, label) in enumerate(zip(BOXES[index], LABELS[index], strict=True)):
                if (index, place) not in self.misses:
                    boxes[row, place] = np.multiply(box, self.scale)
                    scores[row, place] = 0.9 - 0.1 * place
                    labels[row, place] = label
            for place in range(3, 3 - self.extra, -1):
                boxes[row, place] = (50, 40, 60, 47)
                scores[row, place] = 0.3
                labels[row, place] = 0
        return boxes, scores, labels


def old(kind=Named, **options):
    defaults = {"no_resize": True, "preprocess_image": lambda image: image}
    return kind(group_method="none", shuffle_groups=False, **{**defaults, **options})


def test_an_old_generator_is_evaluated_by_label():
    figures, seconds = evaluate(old(), Knowing())
    assert figures == {0: (1.0, 1), 1: (1.0, 2)}
    assert seconds >= 0


def test_misses_and_false_alarms_lower_the_figures():
    figures, _ = evaluate(old(), Knowing(misses=[(2, 0)]))
    assert figures == {0: (1.0, 1), 1: (0.5, 2)}
    # label 0 has its hit at 0.9, the three false alarms at 0.3 come after it
    assert evaluate(old(), Knowing(extra=1))[0][0] == (1.0, 1)
    figures, _ = evaluate(old(), Knowing(misses=[(0, 0)], extra=1))
    assert figures[0] == (0.0, 1)


def test_thresholds_and_limits():
    # the second box of an image has 0.8
    assert evaluate(old(), Knowing(), score_threshold=0.85)[0] == {0: (1.0, 1), 1: (0.5, 2)}
    assert evaluate(old(), Knowing(), max_detections=1)[0] == {0: (1.0, 1), 1: (0.5, 2)}
    # boxes a tenth too large: (0, 0, 17.6, 17.6) against 16 x 16 is 256 / 309.8 = 0.83
    assert evaluate(old(), Knowing(scale=1.1), iou_threshold=0.8)[0][0] == (1.0, 1)
    assert evaluate(old(), Knowing(scale=1.1), iou_threshold=0.85)[0][0] == (0.0, 1)


def test_resized_images_are_evaluated_in_their_own_pixels():
    # 64 x 48 px at a short side of 96 is twice as large
    generator = old(no_resize=False, image_min_side=96, image_max_side=1000)
    assert evaluate(generator, Knowing(scale=2.0))[0] == {0: (1.0, 1), 1: (1.0, 2)}


def test_batches_of_an_old_generator_are_evaluated_whole():
    assert evaluate(old(batch_size=2), Knowing())[0] == {0: (1.0, 1), 1: (1.0, 2)}


@pytest.mark.parametrize("kind", [Named, Old])
def test_coco_figures_of_an_old_generator(kind):
    metrics = evaluate_coco(old(kind), Knowing(), threshold=0.5)
    assert metrics["AP"] == pytest.approx(1)
    assert list(metrics["per_class"]) == (["cat", "dog"] if kind is Named else ["0", "1"])
    assert evaluate_coco(old(kind), Knowing(), threshold=0.95)["AP"] == 0


@pytest.mark.parametrize("kind", [Named, Old])
def test_pictures_are_written_with_what_was_found(tmp_path, kind):
    folder = tmp_path / "new" / "pictures"
    evaluate(old(kind), Knowing(), save_path=str(folder))
    assert sorted(path.name for path in folder.iterdir()) == ["0.png", "1.png", "2.png"]
    first, empty = (np.asarray(Image.open(folder / f"{i}.png")) for i in (0, 1))
    assert first.shape == (48, 64, 3)
    assert (first != 0).any()
    assert (empty == 50).all()


@pytest.mark.filterwarnings("always:::keras_retinanet")
def test_images_that_cannot_be_read_are_left_out(tmp_path):
    Image.new("RGB", (64, 48)).save(tmp_path / "good.png")
    (tmp_path / "bad.png").write_text("no image")
    records = [
        make_record(tmp_path / name, name, [(0, 0, 16, 16)], [0], size=(64, 48))
        for name in ("bad.png", "good.png")
    ]
    options = {"no_resize": True, "preprocess_image": None, "group_method": "none"}
    generator = Generator(Dataset(records, ["cat", "dog"], [1, 2]), **options)
    with pytest.warns(UserWarning, match=r"1 of 2 images.*bad\.png"):
        figures, _ = evaluate(generator, Knowing(), save_path=tmp_path / "out")
    assert figures == {0: (1.0, 1), 1: (0.0, 0)}  # the box of bad.png does not count
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["1.png"]


def test_an_empty_data_set_has_no_figures():
    generator = Generator(Dataset([], ["cat"], [1]), group_method="none")
    assert evaluate(generator, Knowing()) == ({0: (0.0, 0)}, 0)


def test_images_without_boxes(tmp_path):
    Image.new("RGB", (64, 48), (50, 50, 50)).save(tmp_path / "a.png")
    dataset = checked(Dataset([make_record(tmp_path / "a.png", 1)], ["cat"], [1]), need_boxes=False)
    generator = Generator(dataset, no_resize=True, preprocess_image=None)
    assert evaluate(generator, Knowing())[0] == {0: (0.0, 0)}
    assert evaluate_coco(generator, Knowing())["AP"] is None
