"""The batches of a training."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from ..preprocessing.collate import Anchoring
from ..preprocessing.epochs import Batching
from ..preprocessing.examples import Sizing
from ..preprocessing.loader import Loader
from .config import TrainConfig

if TYPE_CHECKING:
    from ..models import RetinaNet
    from ..preprocessing.dataset import Dataset


def create_loaders(
    config: TrainConfig, train: Dataset, val: Dataset | None, model: RetinaNet
) -> tuple[Loader, Loader | None]:
    """Return the loaders of the batches that `model` trains on and is validated on."""
    min_side = None if config.no_resize else model.image_min_side
    sizing = Sizing(min_side, model.image_max_side, model.resize, config.multi_scale)
    anchoring = Anchoring(model.anchor_params, model.pyramid_levels, config.assigner)
    batching = Batching(
        config.batch_size, config.group_method, repeat_threshold=config.repeat_threshold
    )
    rest = normalize_of(model), config.seed, config.strict
    training = Loader(train, sizing, anchoring, batching, config.operations, *rest)
    if val is None:
        return training, None
    sizing = Sizing(min_side, model.image_max_side, model.resize)
    batching = Batching(config.batch_size, shuffle=False)
    return training, Loader(val, sizing, anchoring, batching, "none", *rest)


def normalize_of(model: RetinaNet) -> partial | None:
    """Return the function that normalizes RGB images, None if the model does."""
    if model.normalization is not None:
        return None
    from ..layers.normalize import normalize

    return partial(normalize, mode=model.preprocessing)
