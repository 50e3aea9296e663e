"""Recipes: options by name or from a file, below the options that are given."""

import json

import pytest

from keras_retinanet.errors import InputError
from keras_retinanet.training.config import TrainConfig
from keras_retinanet.training.recipes import RECIPES


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_sets_its_options_and_given_ones_win(name):
    config = TrainConfig.of(recipe=name)
    assert {option: getattr(config, option) for option in RECIPES[name]} == RECIPES[name]
    assert TrainConfig.of(recipe=name, epochs=3, lr=0.5).epochs == 3


def written(tmp_path, content):
    path = tmp_path / "mine.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return str(path)


def test_a_file_of_options(tmp_path):
    held = {"multi_scale": [320, 416], "augment": ["mixup:chance=0.1"], "box_loss": "giou"}
    config = TrainConfig.of(recipe=written(tmp_path, held), lr=0.1)
    assert config.multi_scale == (320, 416)
    assert config.augment == ({"name": "mixup", "chance": 0.1},)
    assert config.box_loss == {"name": "giou"}
    assert config.lr == 0.1


def test_the_arguments_of_a_run_without_its_files_and_results(tmp_path):
    run = vars(TrainConfig(epochs=7, weights="old.keras", run="old", batch_size=2))
    config = TrainConfig.of(recipe=written(tmp_path, {"config": run, "data": None}))
    assert (config.epochs, config.batch_size) == (7, 2)
    assert config.weights is None
    assert config.run is None


def test_an_option_that_excludes_one_of_the_recipe_replaces_it(tmp_path):
    recipe = written(tmp_path, {"fit_anchors": True, "epochs": 4})
    config = TrainConfig.of(recipe=recipe, config="anchors.ini")
    assert (config.fit_anchors, config.config, config.epochs) == (False, "anchors.ini", 4)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("[1, 2]", "expected an object"),
        ("{", "line 1, column 2"),
        ({"epoch": 3}, "epoch"),
        ({"epochs": 0}, "epochs must be"),
        ({"epochs": [3]}, "epochs must be"),
        ({"epochs": "many"}, "epochs must be a whole number, got 'many'"),
        ({"lr": "fast"}, "lr must be a number, got 'fast'"),
        ({"no_resize": "maybe"}, "no_resize must be true or false"),
        ({"box_loss": 5}, "box_loss must be a name"),
        ({"recipe": "published"}, "cannot name another"),
    ],
)
def test_a_file_that_is_no_recipe(tmp_path, content, words):
    path = written(tmp_path, content)
    with pytest.raises(InputError, match=words) as raised:
        TrainConfig.of(recipe=path)
    assert path in str(raised.value)


def test_an_unknown_recipe_and_a_missing_file():
    with pytest.raises(InputError, match=r"published.* got 'fast'"):
        TrainConfig.of(recipe="fast")
    with pytest.raises(InputError, match=r"none\.json"):
        TrainConfig.of(recipe="none.json")
