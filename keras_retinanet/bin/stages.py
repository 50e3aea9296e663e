"""The stages of a training: which losses and selector it has, and until which epoch.

A stage is a dict of plain values that a snapshot keeps: `loss`, the configs of the losses by
output, `selector`, and `until`, an epoch or None for the end.
"""

import re

from ..errors import InputError
from .choices import INVERSE_FREQUENCY, check_values


def stages_of(args, model, train):
    """The stages that the arguments ask for; a snapshot keeps its own."""
    from .. import losses
    from ..losses import selection

    if "stages" in model.progress:
        return model.progress["stages"]
    if model.compiled:
        known = model.get_compile_config()
        return [{"loss": known["loss"], "selector": known["selector"], "until": None}]
    chosen = {"regression": args.box_loss, "classification": args.classification_loss}
    if args.iou_branch:
        chosen["iou"] = {"name": "iou_entropy", "from_logits": True}
    last = {"loss": chosen, "selector": args.selector, "until": None}
    first = {**last, "loss": {**chosen, "classification": args.warmup_loss}}
    found = [{**first, "until": args.warmup_loss_epochs}, last] if args.warmup_loss else [last]
    if args.warmup_loss and args.warmup_loss_epochs >= args.epochs:
        print(
            f"--warmup-loss-epochs {args.warmup_loss_epochs} lasts for all of --epochs "
            f"{args.epochs}: --classification-loss waits for a later run"
        )
    for stage in found:
        config = {**stage["loss"]["classification"], "from_logits": True}
        if config.get("alpha") == INVERSE_FREQUENCY:
            config["alpha"] = alpha_of(train)
        chosen = {**stage["loss"], "classification": config}
        stage["loss"] = {output: whole_config(loss, losses.get) for output, loss in chosen.items()}
        stage["selector"] = whole_config(stage["selector"], selection.get)
    return found


def alpha_of(dataset):
    """The `alpha` of each class by the inverse frequency of its boxes."""
    import numpy as np

    from ..losses.classification import inverse_frequency

    labels = np.concatenate([record.labels[~record.ignore] for record in dataset.records])
    return inverse_frequency(np.bincount(labels, minlength=len(dataset.class_names)))


def whole_config(config, get):
    """The whole config of what `get` makes of one; InputError where it does not take it."""
    if config is None:
        return None
    check_values(config)
    try:
        return get(config).config
    except (TypeError, ValueError, ArithmeticError) as error:
        unknown = re.search(r"unexpected keyword argument ('\w+')", str(error))
        reason = f"there is no argument {unknown[1]}" if unknown else error
        raise InputError(f"{config['name']}: {reason}") from None


def compile_stage(model, optimizer, stage):
    """Compiles the model for a stage, unless it is already: the optimizer keeps its state."""
    if model.compiled and model.optimizer is optimizer:
        known = model.get_compile_config()
        if all(known.get(key) == stage[key] for key in ("loss", "selector")):
            return
    model.compile(optimizer, *made(stage))


def made(stage):
    """(closures by output, selector) of a stage."""
    from .. import losses
    from ..losses import selection

    closures = {output: losses.get(config) for output, config in stage["loss"].items()}
    return closures, selection.get(stage["selector"])
