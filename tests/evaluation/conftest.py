"""Random ground truth and detections as COCO dicts."""

import numpy as np
import pytest

CATEGORIES = (5, 1, 17)


@pytest.fixture(scope="session")
def random_set():
    """Return a function from a seed to an "instances" dict and rows of a result file, with crowds,
    images without objects, more than 100 detections of a class, and tied scores if `ties`.
    """

    def make(seed, images=20, ties=True, noise=110):
        rng = np.random.default_rng(seed)

        def boxes(count):
            corners, sides = rng.uniform(0, 300, (count, 2)), rng.uniform(5, 150, (count, 2))
            return np.concatenate([corners, sides], axis=1)

        def score(digits):
            value = float(rng.random())
            return round(value, digits) if ties else value

        annotations, rows = [], []
        for image_id in range(0, 10 * images, 10):
            for box in boxes(rng.integers(0, 6)).tolist():
                base = {"image_id": image_id, "category_id": int(rng.choice(CATEGORIES))}
                crowd = int(rng.random() < 0.1)
                area = box[2] * box[3] * 0.7
                annotations.append({**base, "bbox": box, "iscrowd": crowd, "area": area})
                for spread in rng.choice([3, 12, 30], rng.integers(0, 3)):
                    moved = (np.array(box) + rng.normal(0, spread, 4)).clip(1).tolist()
                    row = {**base, "bbox": moved, "score": score(1)}
                    if rng.random() < 0.2:
                        row["category_id"] = int(rng.choice(CATEGORIES))
                    rows.append(row)
            for box in boxes(noise).tolist():
                base = {"image_id": image_id, "category_id": 1}
                rows.append({**base, "bbox": box, "score": score(2) / 2})
        truth = {
            "images": [{"id": 10 * i, "file_name": f"{i}.jpg"} for i in range(images)],
            "categories": [{"id": each, "name": str(each)} for each in CATEGORIES],
            "annotations": [{**each, "id": i} for i, each in enumerate(annotations, start=1)],
        }
        return truth, rows

    return make
