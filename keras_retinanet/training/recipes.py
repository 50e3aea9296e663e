"""Recipes: options of a training that go together, by name or in a JSON file."""

from __future__ import annotations

from typing import Any

from ..errors import InputError

# Options of the runs of others are left out: the place to start from, and what is written where.
OF_ONE_RUN = ("start", "results")

RECIPES: dict[str, dict[str, Any]] = {
    # Lin et al. 2017, arXiv 1708.02002: 90,000 updates of 16 images of COCO, at a rate of 0.01, to
    # which SGD's default comes
    "published": {
        "optimizer": "sgd",
        "momentum": 0.9,
        "weight_decay": 1e-4,
        "schedule": "step",
        "batch_size": 4,
        "accumulate": 4,
        "epochs": 12,
        "freeze_stages": 2,
        "augmentation": "light",
    },
}


def recipe_options(recipe: str) -> dict[str, Any]:
    """Return the options of a recipe: a key of `RECIPES`, or a JSON file {option: value}.

    The `arguments.json` of a run is such a file, too.

    Raises:
        InputError: for an unknown name, and a file that is not such an object.
    """
    if recipe in RECIPES:
        return RECIPES[recipe]
    if not recipe.endswith(".json"):
        known = ", ".join(RECIPES)
        raise InputError(f"recipe must be {known} or a .json file, got {recipe!r}.")
    from ..preprocessing.readers.parsing import read_json

    held = read_json(recipe)
    if not isinstance(held, dict):
        raise InputError(f"{recipe}: expected an object of options and values.")
    if isinstance(held.get("config"), dict):
        return of_run(held["config"])
    if held.get("recipe"):
        raise InputError(f"{recipe}: a recipe cannot name another one; copy its options.")
    return held


def of_run(options: dict[str, Any]) -> dict[str, Any]:
    """Return the options in a run's `arguments.json` that another run may share."""
    from ..options import options_of
    from .config import TrainConfig

    known = options_of(TrainConfig)
    shared = {name for name, rule in known.items() if rule.group not in OF_ONE_RUN}
    return {name: value for name, value in options.items() if name in shared - {"config"}}
