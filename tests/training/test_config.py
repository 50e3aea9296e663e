"""TrainConfig: one definition of every option, for Python and for the command."""

import argparse
import dataclasses

import pytest

from keras_retinanet.bin import train
from keras_retinanet.bin.arguments import _reader, add_config
from keras_retinanet.errors import InputError
from keras_retinanet.options import options_of
from keras_retinanet.training.config import TrainConfig

OTHERS = {  # option: (text, value) that is no default
    "snapshot": ("a.keras", "a.keras"),
    "weights": ("a.keras", "a.keras"),
    "augmentation": ("light", "light"),
    "augment": ("blur:chance=0.2", ({"name": "blur", "chance": 0.2},)),
    "multi_scale": ("64,96", (64, 96)),
    "group_method": ("ratio", "ratio"),
    "detector": ("gfl", "gfl"),
    "norm": ("group", "group"),
    "head_norm": ("group", "group"),
    "prior_probability": ("none", None),
    "classification_loss": ("focal:gamma=1", {"name": "focal", "gamma": 1}),
    "box_loss": ("giou", {"name": "giou"}),
    "sampler": ("ohem:count=16", {"name": "ohem", "count": 16}),
    "warmup_loss": ("focal", {"name": "focal"}),
    "assigner": ("atss:top_k=4", {"name": "atss", "top_k": 4}),
    "coder": ("distances:bins=8", {"name": "distances", "bins": 8}),
    "tensorboard_freq": ("7", 7),
    "optimizer": ("sgd", "sgd"),
    "schedule": ("step", "step"),
    "recipe": ("published", "published"),
    "precision": ("mixed_bfloat16", "mixed_bfloat16"),
}
TOGETHER = {"warmup_loss": ["--warmup-loss-epochs=1"], "warmup_loss_epochs": ["--warmup-loss=l"]}
HOSTS = ("coordinator", "num_hosts", "host_id")


def other_value(name, rule):
    """Return the text and the value of an option that differ from its default."""
    if name in OTHERS:
        return OTHERS[name]
    if rule.kind is int:
        return "3", 3
    return ("0.5", 0.5) if rule.kind is float else ("some", "some")


@pytest.mark.parametrize("name", options_of(TrainConfig))
def test_the_parser_and_python_give_the_same_value(name):
    rule, default = options_of(TrainConfig)[name], getattr(TrainConfig, name)
    parser = argparse.ArgumentParser()
    add_config(parser, TrainConfig)
    flag = f"--{name.replace('_', '-')}"
    if rule.kind is bool:
        value = not default
        flag = flag if value else flag.replace("--", "--no-")
        given = vars(parser.parse_args([flag]))
        assert given == {name: value}
        return
    text, value = other_value(name, rule)
    [(key, parsed)] = vars(parser.parse_args([f"{flag}={text}"])).items()
    assert key == name
    assert (tuple(parsed) if rule.several else parsed) == value
    if name in ("warmup_loss", "warmup_loss_epochs", *HOSTS):  # these go together
        return
    from_text = getattr(TrainConfig.of(**{name: text if rule.kind is dict else value}), name)
    assert from_text == value
    assert getattr(TrainConfig.of(**{name: value}), name) == value


def test_an_old_name_of_an_option_is_accepted():
    args = train.parse_args(["--selector", "ohem", "coco", "x"])
    assert args.sampler == {"name": "ohem"}


def test_given_options_are_told_from_defaults():
    args = train.parse_args(["--batch-size", "1", "--augment=blur", "--no-snapshots", "coco", "x"])
    assert args.given == {"batch_size", "augment", "snapshots"}
    assert train.config_of(args) == TrainConfig.of(batch_size=1, augment=["blur"], snapshots=False)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"batch_size": 0}, "batch_size must be a whole number from 1 to 1024, got 0"),
        ({"batch_size": 1.5}, "batch_size must be a whole number from 1 to 1024, got 1.5"),
        ({"batch_size": True}, "batch_size must be a whole number from 1 to 1024, got True"),
        ({"lr": float("nan")}, "lr must be between 0 and 1000000000, got nan"),
        ({"lr": "fast"}, "lr"),
        ({"multi_scale": (64, 0)}, "multi_scale must be a whole number from 1 to 10000, got 0"),
        ({"repeat_threshold": 2}, "repeat_threshold must be from 0 to 1, got 2"),
        ({"reduce_lr_factor": 1}, "reduce_lr_factor must be between 0 and 1, got 1"),
        ({"seed": -1}, "seed must be a whole number from 0 to 4294967295, got -1"),
        ({"freeze_stages": 6}, "freeze_stages must be a whole number from 0 to 5, got 6"),
        ({"norm": "layer"}, "norm must be one of batch, sync_batch, group, got 'layer'"),
        ({"box_loss": "focal"}, "'focal'"),
        ({"box_loss": {"name": "focal"}}, "box_loss must be one of"),
        ({"epoch": 3}, "Unknown option 'epoch'"),
        ({"no_weights": True, "weights": "a.keras"}, "weights and no_weights exclude each other"),
        ({"multi_scale": (64,), "no_resize": True}, "multi_scale and no_resize exclude each other"),
        ({"warmup_loss": "focal"}, "warmup_loss_epochs must be given together"),
        ({"augment": ["blur:chance=2"]}, "blur: chance must be from 0 to 1"),
        ({"augment": ["blur:force=2"]}, "blur: the arguments are chance, strength"),
    ],
)
def test_options_without_sense_are_refused(options, words):
    with pytest.raises(InputError) as refused:
        TrainConfig.of(**options)
    assert words in str(refused.value)


NUMBERS = [name for name, rule in options_of(TrainConfig).items() if rule.kind in (int, float)]


@pytest.mark.parametrize("name", NUMBERS)
def test_every_number_has_an_upper_end(name):
    rule = options_of(TrainConfig)[name]
    huge = (10**20,) if name == "multi_scale" else 10**20
    with pytest.raises(InputError, match=rf"^{name} must be .*, got 100000000000000000000"):
        TrainConfig(**{name: huge})
    with pytest.raises((InputError, argparse.ArgumentTypeError)):
        _reader(rule)("9" * 20)


@pytest.mark.parametrize(
    "text", ["corners:std=" + "-" * 100_000 + "1", "corners:std=" + "(" * 5000]
)
def test_endless_arguments_are_refused_in_a_short_sentence(text):
    with pytest.raises(InputError, match="write corners:argument=value") as refused:
        TrainConfig.of(coder=text)
    assert len(str(refused.value)) < 250


def test_a_config_cannot_be_changed():
    with pytest.raises(dataclasses.FrozenInstanceError):
        TrainConfig().epochs = 3
