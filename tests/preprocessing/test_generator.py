"""The overridable generator: what subclasses of the older keras-retinanet rely on."""

import dataclasses

import numpy as np
import pytest
from PIL import Image

from keras_retinanet import coders
from keras_retinanet.preprocessing.dataset import Dataset, make_record
from keras_retinanet.preprocessing.generator import Generator
from keras_retinanet.utils.anchors import AnchorParameters, anchors_for_shape

MEAN = np.array([103.939, 116.779, 123.68], "float32")  # BGR, of ImageNet
BLUE = (255, 0, 0)  # BGR
ANCHORS = AnchorParameters(sizes=(16, 32), strides=(8, 16), ratios=(1,), scales=(1, 1.5))
LEVELS = [3, 4]


class Old(Generator):
    """The methods that an old script defines, and no others."""

    def __init__(self, images, boxes, labels=None, **kwargs):
        self.images = images
        self.boxes = [np.array(rows, "float64").reshape(-1, 4) for rows in boxes]
        self.labels = labels or [np.zeros(len(rows)) for rows in boxes]
        super().__init__(**{"group_method": "none", "shuffle_groups": False, **kwargs})

    def size(self):
        return len(self.images)

    def num_classes(self):
        return 3

    def load_image(self, image_index):
        return self.images[image_index]

    def image_path(self, image_index):
        return f"{image_index}.png"

    def load_annotations(self, image_index):
        return {"labels": self.labels[image_index].copy(), "bboxes": self.boxes[image_index].copy()}


def plain(height, width, colour=BLUE):
    return np.full((height, width, 3), colour, "uint8")


def write(folder, sizes, boxes=None, ignore=None):
    """A data set of noise images of `sizes` (w, h), each with its boxes of class 1."""
    rng = np.random.default_rng(0)
    records = []
    for i, (width, height) in enumerate(sizes):
        path = folder / f"{i}.png"
        Image.fromarray(rng.integers(0, 255, (height, width, 3), "uint8")).save(path)
        rows = [(4, 4, 20, 20)] if boxes is None else boxes[i]
        mask = None if ignore is None else ignore[i]
        records.append(make_record(path, i, rows, [1] * len(rows), mask, size=(width, height)))
    return Dataset(records, ["cat", "dog"], [1, 2])


def compact(dataset, **options):
    """A generator of uint8 RGB and compact targets, without resizing."""
    defaults = {
        "group_method": "none",
        "no_resize": True,
        "preprocess_image": None,
        "compact": True,
        "anchor_params": ANCHORS,
        "pyramid_levels": LEVELS,
    }
    return Generator(dataset, **{**defaults, **options})


# what old subclasses rely on


def test_an_old_subclass_gives_preprocessed_images_and_a_tuple_of_dense_targets():
    generator = Old(
        [plain(64, 64), plain(48, 64)], [[(0, 0, 32, 32)], []], batch_size=2, no_resize=True
    )
    inputs, targets = generator[0]
    anchors = anchors_for_shape((64, 64))
    assert len(generator) == 1
    assert generator.groups == [[0, 1]]
    assert (inputs.dtype, inputs.shape) == (np.float32, (2, 64, 64, 3))
    assert np.allclose(inputs[0], BLUE - MEAN)
    assert np.allclose(inputs[1, :48], BLUE - MEAN)
    assert not inputs[1, 48:].any()  # padding is zero after preprocessing
    assert isinstance(targets, tuple)
    regression, classification = targets
    assert (regression.dtype, regression.shape) == (np.float32, (2, len(anchors), 5))
    assert (classification.dtype, classification.shape) == (np.float32, (2, len(anchors), 4))
    assert (regression[..., 4] == classification[..., 3]).all()
    # the anchor of size 32 at (16, 16) stands at 4, 4, 28, 28 or larger: some anchor is an object
    assert (regression[0, :, 4] == 1).any()
    assert not (regression[1, :, 4] == 1).any()


def test_anchors_centred_in_the_padding_are_ignored():
    generator = Old([plain(64, 64), plain(48, 64)], [[], []], batch_size=2, no_resize=True)
    regression, classification = generator[0][1]
    anchors = anchors_for_shape((64, 64))
    center = (anchors[:, 1] + anchors[:, 3]) / 2
    x = (anchors[:, 0] + anchors[:, 2]) / 2
    outside = (center >= 48) | (x >= 64)
    assert outside.any()
    assert (regression[1, :, 4] == np.where(outside, -1, 0)).all()
    assert (classification[0, :, -1] == np.where((center >= 64) | (x >= 64), -1, 0)).all()


def test_boxes_are_scaled_with_their_image():
    generator = Old([plain(60, 100)], [[(10, 20, 30, 40)]], image_min_side=30, image_max_side=90)
    image, annotations = generator.preprocess_group_entry(
        generator.load_image(0), generator.load_annotations(0)
    )
    assert image.shape == (30, 50, 3)
    assert annotations["bboxes"].tolist() == [[5, 10, 15, 20]]


def test_one_method_is_enough_to_learn_the_aspect_ratio():
    generator = Old([plain(64, 32), plain(32, 64)], [[], []], group_method="ratio", no_resize=True)
    assert generator.image_aspect_ratio(0) == 0.5
    assert generator.groups == [[0], [1]]


def test_an_image_is_loaded_once_to_learn_its_size():
    loads = []

    class Counting(Old):
        def load_image(self, image_index):
            loads.append(image_index)
            return super().load_image(image_index)

    generator = Counting([plain(64, 32), plain(32, 64)], [[], []], group_method="ratio")
    for _ in range(3):
        assert generator.image_size(0) == (32, 64)
        assert generator.image_aspect_ratio(1) == 2
    assert sorted(loads) == [0, 1]


def test_methods_that_were_not_defined_say_so():
    generator = Old([plain(32, 32)], [[]])
    with pytest.raises(NotImplementedError, match="subclass"):
        generator.label_to_name(0)


def test_the_generator_reads_names_from_its_data_set(tmp_path):
    generator = compact(write(tmp_path, [(32, 32)]))
    assert generator.label_to_name(1) == "dog"
    assert generator.name_to_label("dog") == 1
    assert generator.has_name("cat")
    assert not generator.has_name("cow")
    assert generator.has_label(1)
    assert not generator.has_label(2)


def test_filter_annotations_drops_what_is_beyond_the_image_and_keeps_dtypes():
    bad = [
        (20, 0, 10, 10),  # x2 < x1
        (0, 20, 10, 20),  # y2 = y1
        (-1, 0, 10, 10),
        (0, -1, 10, 10),
        (0, 0, 65, 10),  # beyond 64
        (0, 0, 10, 49),  # beyond 48
    ]
    good = (0, 0, 64, 48)
    generator = Old([plain(48, 64)], [[*bad, good]])
    annotations = {
        "labels": np.arange(7, dtype="int32"),
        "bboxes": np.array([*bad, good], "float32"),
    }
    with pytest.warns(UserWarning, match=r"0\.png.*\(48, 64, 3\)"):
        images, [kept] = generator.filter_annotations([plain(48, 64)], [annotations], [0])
    assert len(images) == 1
    assert kept["bboxes"].tolist() == [list(good)]
    assert kept["labels"].tolist() == [6]
    assert (kept["bboxes"].dtype, kept["labels"].dtype) == (np.float32, np.int32)


def test_filter_annotations_leaves_an_empty_array_of_the_right_shape():
    generator = Old([plain(48, 64)], [[(-1, -1, 2, 2)]])
    with pytest.warns(UserWarning, match="outside the image"):
        _, [kept] = generator.filter_annotations(
            [plain(48, 64)], [generator.load_annotations(0)], [0]
        )
    assert (kept["bboxes"].shape, kept["bboxes"].dtype) == ((0, 4), np.float64)
    assert (kept["labels"].shape, kept["labels"].dtype) == ((0,), np.float64)


def test_filter_annotations_says_nothing_about_good_and_absent_boxes(recwarn):
    generator = Old([plain(48, 64)] * 2, [[(0, 0, 64, 48)], []], batch_size=2, no_resize=True)
    _, targets = generator[0]
    assert not [warning for warning in recwarn if issubclass(warning.category, UserWarning)]
    assert np.isfinite(targets[0]).all()


def test_targets_of_an_override_that_gives_a_list_become_a_tuple():
    class Lists(Old):
        def compute_targets(self, image_group, annotations_group):
            return list(super().compute_targets(image_group, annotations_group))

    targets = Lists([plain(32, 32)], [[]])[0][1]
    assert isinstance(targets, tuple)
    assert len(targets) == 2


def test_overrides_of_the_steps_are_called():
    class Steps(Old):
        def random_transform_group_entry(self, image, annotations, transform=None):
            return image[::-1], annotations

        def resize_image(self, image):
            return image[:32], 1

    top = np.concatenate([plain(32, 32, (1, 2, 3)), plain(32, 32, (7, 8, 9))])
    inputs, _ = Steps([top], [[]], preprocess_image=lambda x: x)[0]
    assert inputs.shape == (1, 32, 32, 3)
    assert (inputs == (7, 8, 9)).all()


def test_transform_and_effect_generators_move_image_and_boxes():
    flip = np.array([[-1, 0, 0], [0, 1, 0], [0, 0, 1]], "float64")
    image = plain(40, 40, (0, 0, 0))
    image[10:20, 0:10] = 100
    generator = Old(
        [image],
        [[(0, 10, 10, 20)]],
        no_resize=True,
        transform_generator=iter([flip]),
        visual_effect_generator=iter([lambda image: image * 2]),
        preprocess_image=lambda x: x,
    )
    images, annotations = generator.random_visual_effect_group(
        [image], [generator.load_annotations(0)]
    )
    [moved], [annotations] = generator.random_transform_group(images, annotations)
    assert annotations["bboxes"].tolist() == [[30, 10, 40, 20]]
    assert (moved[10:20, 30:40] == 200).all()
    assert not moved[:, :30].any()


def test_annotations_without_boxes_or_labels_are_refused():
    class Half(Old):
        def load_annotations(self, image_index):
            return {"labels": np.zeros(0)}

    with pytest.raises(ValueError, match="bboxes"):
        Half([plain(32, 32)], [[]])[0]


def test_the_configuration_sets_the_anchors():
    config = {
        "anchor_parameters": {"sizes": "16", "strides": "8", "ratios": "1", "scales": "1"},
        "pyramid_levels": {"levels": "3"},
    }
    targets = Old([plain(64, 32)], [[]], config=config, no_resize=True)[0][1]
    assert targets[0].shape == (1, 8 * 4, 5)  # one anchor at each of 64/8 x 32/8 places


def test_an_unknown_group_method_lists_the_known_ones():
    with pytest.raises(
        ValueError, match=r"bucket.*ratio, random, none|ratio, random, none.*bucket"
    ):
        Old([plain(32, 32)], [[]], group_method="bucket")


def test_sizes_are_read_from_files_without_decoding_them(tmp_path):
    dataset = write(tmp_path, [(64, 32), (32, 64)])
    records = [dataclasses.replace(record, size=None) for record in dataset.records]
    generator = compact(dataclasses.replace(dataset, records=records), group_method="ratio")
    assert [generator.image_size(i) for i in (0, 1)] == [(64, 32), (32, 64)]
    assert sorted(generator.groups) == [[0], [1]]


# compact targets


def test_compact_targets_expand_to_the_dense_ones(tmp_path):
    boxes = [[(0, 0, 16, 16), (30, 10, 60, 44)], [], [(5, 5, 41, 40)]]
    ignore = [[False, False], [], [True]]
    dataset = write(tmp_path, [(64, 48), (60, 40), (64, 64)], boxes, ignore)
    options = {"batch_size": 3, "shuffle_groups": False}
    inputs, targets = compact(dataset, **options)[0]
    same, (regression, classification) = compact(dataset, **{**options, "compact": False})[0]
    anchors = anchors_for_shape(inputs.shape[1:3], LEVELS, ANCHORS)
    assert np.array_equal(inputs, same)
    assert (targets["matches"].dtype, targets["matches"].shape) == (np.int32, (3, len(anchors)))
    for row, matches in enumerate(targets["matches"]):
        state = np.where(matches >= 0, 1, np.where(matches == -1, 0, -1))
        assert (regression[row, :, 4] == state).all()
        positive = matches >= 0
        matched = targets["boxes"][row][matches[positive]]
        assert np.allclose(
            regression[row, positive, :4],
            coders.corners().encode(anchors[positive], matched),
            atol=1e-5,
        )
        labels = targets["labels"][row][matches[positive]]
        assert (classification[row, positive].argmax(axis=1) == labels).all()
    states = [{int(s) for s in row} for row in regression[..., 4]]
    assert 1 in states[0]
    assert states[1] == {0, -1}  # no box: background, and ignored where the image is padded
    assert 1 not in states[2]  # the only box is to be ignored
    assert (classification[2, :, -1] == -1).any()


def test_raw_images_are_rgb_uint8(tmp_path):
    dataset = write(tmp_path, [(50, 40)])
    inputs, _ = compact(dataset)[0]
    with Image.open(dataset.records[0].path) as image:
        assert np.array_equal(inputs[0], np.asarray(image))
    assert inputs.dtype == np.uint8


def test_all_batches_have_room_for_the_same_number_of_boxes(tmp_path):
    boxes = [[(0, 0, 9, 9)] * count for count in (0, 3, 1)]
    generator = compact(write(tmp_path, [(32, 32), (64, 32), (32, 64)], boxes))
    assert {generator[i][1]["boxes"].shape for i in range(3)} == {(1, 3, 4)}
    generator = compact(write(tmp_path, [(32, 32)], [[]]))
    assert generator[0][1]["boxes"].shape == (1, 1, 4)


# epochs


@pytest.mark.parametrize("group_method", ["none", "random", "ratio"])
def test_each_epoch_has_every_image_in_another_order(tmp_path, group_method):
    generator = compact(write(tmp_path, [(32, 32)] * 12), group_method=group_method)
    orders = []
    for _ in range(3):
        orders.append([index for group in generator.groups for index in group])
        generator.on_epoch_end()
    assert all(sorted(order) == list(range(12)) for order in orders)
    assert orders[0] != orders[1] != orders[2]


def test_without_shuffling_all_epochs_are_alike(tmp_path):
    generator = compact(write(tmp_path, [(32, 32)] * 4), shuffle_groups=False)
    generator.on_epoch_end()
    assert generator.groups == [[0], [1], [2], [3]]


def test_a_generator_without_images_has_no_batches():
    assert len(compact(Dataset([], ["cat"], [1]))) == 0
