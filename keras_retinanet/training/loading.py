"""The batches of a training."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..model_input import normalize_of
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
    assigner = dict(model.progress.get("assigner", config.assigner))
    anchoring = Anchoring(model.anchor_params, model.pyramid_levels, assigner)
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
