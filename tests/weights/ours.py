"""What the package under test makes of the pictures that the reference sees."""

import numpy as np
from PIL import Image

from keras_retinanet.evaluation.detections import detect, input_options
from keras_retinanet.models import convert_model
from keras_retinanet.preprocessing.dataset import Dataset, make_record
from keras_retinanet.preprocessing.generator import Generator


def picture(width, height, seed=0):
    """Smooth random colours, (H, W, 3) uint8 RGB."""
    rough = np.random.default_rng(seed).integers(0, 256, (6, 6, 3), dtype="uint8")
    return np.asarray(Image.fromarray(rough).resize((width, height), Image.Resampling.BICUBIC))


def raw(model, image):
    """(regression (1, N, V), scores (1, N, K)) of a training model for a picture as it is."""
    from keras import ops

    outputs = model(ops.convert_to_tensor(image[None]), training=False)
    return [ops.convert_to_numpy(output) for output in outputs]


def detections(model, images, sides, folder, most=300, **options):
    """[{"boxes", "scores", "labels"}, ...] of a training model for pictures, each by itself.

    The model's own sides give way to `sides`, the shortest and the longest; `options` are those of
    `convert_model`.
    """
    records = []
    for i, image in enumerate(images):
        path = folder / f"{i}.png"
        Image.fromarray(image).save(path)
        records.append(make_record(path, i, size=image.shape[1::-1]))
    classes = model.output_shape[1][-1]
    dataset = Dataset(records, [str(label) for label in range(classes)], list(range(classes)))
    detector = convert_model(model, **options)
    detector.image_min_side, detector.image_max_side = sides
    detector.run_eagerly = True  # a graph for each size of picture takes longer
    generator = Generator(
        dataset, group_method="none", shuffle_groups=False, **input_options(detector)
    )
    return detect(detector, generator, max_detections=most)[0]


def agree(found, boxes, scores, labels):
    """Boxes to 0.05 px, scores to 1e-4, in the same order."""
    assert len(found["boxes"]) == len(boxes)
    np.testing.assert_array_equal(found["labels"], labels)
    np.testing.assert_allclose(found["scores"], scores, atol=1e-4)
    np.testing.assert_allclose(found["boxes"], boxes, atol=0.05)
