"""Trains a RetinaNet: `retinanet-train [options] DATASET ...`."""

import importlib.util
import os
import sys

from ..detectors import DETECTORS
from ..errors import InputError
from .cli import (
    check_classes,
    check_folder,
    choose_gpu,
    load_snapshot,
    read_config,
    read_data,
    start_backend,
    user_errors,
)
from .stages import compile_stage, stages_of
from .train_options import parse_args

SMALL_BATCH = 16  # below it the statistics of live batch norm are too noisy to train with


def read_datasets(args, class_names=None):
    """(training, validation or None), both checked."""
    from ..preprocessing.dataset import checked

    if args.dataset_type == "csv":
        train = read_data(args, annotations=args.annotations)
        names = train.class_names
        val = args.val_annotations and read_data(args, annotations=args.val_annotations)
    else:
        train = read_data(args, args.train_set, class_names=class_names)
        names = train.class_names
        wanted = args.evaluation or args.compute_val_loss
        val = wanted and read_data(args, args.val_set, class_names=names)
    if val and val.class_names != names:
        raise InputError(
            f"Expected the same classes in both sets. Received: {names} to train on and "
            f"{val.class_names} to evaluate on"
        )
    train = checked(train, args.strict)
    return train, checked(val, args.strict, need_boxes=False) if val else None


def augmentation_of(args):
    """The arguments of `augment`."""
    from ..preprocessing.augmentation import AUGMENTATIONS

    chosen = AUGMENTATIONS["strong" if args.random_transform else args.augmentation]
    return {**chosen, "flip_y_chance": 0.5} if args.vertical_flip else chosen


def create_generators(args, train, val, model):
    """The generators of the two sets, as `model` takes its input."""
    from ..preprocessing.generator import Generator

    common = {
        "batch_size": args.batch_size,
        "group_method": args.group_method,
        "image_min_side": model.image_min_side,
        "image_max_side": model.image_max_side,
        "no_resize": args.no_resize,
        "anchor_params": model.anchor_params,
        "pyramid_levels": model.pyramid_levels,
        "assigner": model.progress.get("assigner", args.assigner),
        "compact": True,
        "seed": args.seed,
        "strict": args.strict,
    }
    if model.normalization is not None:
        common["preprocess_image"] = None
    training = Generator(train, augmentation=augmentation_of(args), **common)
    validation = val and Generator(
        val, **{**common, "group_method": "canvas"}, shuffle_groups=False
    )
    return training, validation


def create_models(args, class_names):
    """(training model, inference model), new or from the snapshot."""
    from ..losses import CLASSIFICATION_LOSSES
    from ..models import backbone, convert_model
    from .trials import try_coder

    if args.snapshot:
        model = load_snapshot(args.snapshot, args.backbone)
        if not model.is_training_model:
            raise InputError(
                f"{args.snapshot}: expected a training model. Received: an inference model"
            )
        check_classes(args.snapshot, model, class_names)
        check_anchors(args.config, model)
        if args.kept:
            print(
                f"{args.snapshot} keeps its own model, image size and losses; without effect: "
                + ", ".join(args.kept)
            )
        return model, convert_model(model)
    try:
        chosen = backbone(args.backbone or "resnet50")
    except ValueError as error:
        raise InputError(f"--backbone: {error}") from None
    weights = None if args.no_weights else args.weights or chosen.download_imagenet()
    scratch_norm = "group" if args.batch_size < SMALL_BATCH else "batch"
    norm = args.norm or (scratch_norm if weights is None else "batch")
    kind = DETECTORS[args.detector]
    anchors, levels = read_config(args.config, kind.get("anchor_side"))
    if args.coder:
        try_coder(args.coder)
    closure = CLASSIFICATION_LOSSES[args.classification_loss["name"]]()
    given = {"coder": args.coder, "head_norm": args.head_norm}
    options = {
        "head_norm": "group" if norm == "group" else "none",
        **kind["model"],
        **{name: value for name, value in given.items() if value is not None},
    }
    model = chosen.detector(
        class_names,
        weights,
        freeze_bn=args.freeze_bn,
        freeze=args.freeze_backbone,
        norm=norm,
        feature_size=args.feature_size,
        head_size=args.head_size,
        head_depth=args.head_depth,
        anchors=anchors,
        pyramid_levels=levels,
        activation=closure.activation,
        prior_probability=args.prior_probability,
        iou_branch=args.iou_branch,
        image_min_side=None if args.no_resize else args.image_min_side,
        image_max_side=None if args.no_resize else args.image_max_side,
        progress={
            "start": "scratch" if weights is None else "pretrained",
            "epoch": 0,
            "assigner": args.assigner,
        },
        **options,
    )
    return model, convert_model(model)


def check_anchors(path, model):
    """InputError where an INI file describes other anchors than those of a snapshot."""
    if path is None:
        return
    anchors, levels = read_config(path)
    known = {"levels": model.pyramid_levels, **model.anchor_params.get_config()}
    asked = {"levels": levels, **anchors.get_config()}
    for name, values in known.items():
        if asked[name] != values:
            raise InputError(
                f"{path}: expected the {name} {values} of the snapshot. Received: {asked[name]}"
            )


def make_optimizer(args, model, steps, first):
    """The optimizer of the recipe of the model's start, to train from epoch `first` on; `steps` are
    the batches of an epoch.

    A snapshot keeps its optimizer's state, unless that has a schedule and now wants none.
    """
    from .. import recipes

    start = model.progress.get("start", "pretrained")
    width = model.get_layer(f"P{model.pyramid_levels[0]}").output.shape[-1]
    rate = args.lr or recipes.peak_rate(start, args.batch_size * args.accumulate, width)
    if args.reduce_lr_patience is None:
        rate = recipes.cosine(rate, max(1, args.epochs * steps // args.accumulate))
    if model.compiled:  # a snapshot
        optimizer = model.optimizer
        held = optimizer.gradient_accumulation_steps or 1
        if held != args.accumulate:
            raise InputError(
                f"--accumulate: expected {held}, as in {args.snapshot}. Received: {args.accumulate}"
            )
        if args.reduce_lr_patience is None:
            optimizer.learning_rate = rate
            # where this run's schedule stands, should its steps be others than the snapshot's
            next(v for v in optimizer.variables if v.name == "iteration").assign(first * steps)
            return optimizer
        if isinstance(optimizer.get_config()["learning_rate"], float):
            if args.lr:  # else it goes on with what it was reduced to
                optimizer.learning_rate = args.lr
            return optimizer
    default_decay = recipes.RECIPES[start]["weight_decay"]
    decay = default_decay if args.weight_decay is None else args.weight_decay
    return recipes.adamw(rate, decay, args.optimizer_clipnorm, args.accumulate)


def create_callbacks(args, inference, validation):
    """Evaluation, snapshots, the learning rate and TensorBoard, in this order."""
    import keras

    from ..callbacks import RedirectModel
    from ..callbacks.coco import CocoEval
    from ..callbacks.eval import Evaluate
    from ..callbacks.snapshots import Snapshots

    callbacks = []
    if validation is not None and args.evaluation:
        callbacks.append(RedirectModel(CocoEval(validation), inference))
        if args.weighted_average:
            callbacks.append(RedirectModel(Evaluate(validation, weighted_average=True), inference))
    if args.snapshots:
        name = f"{inference.backbone_name}_{args.dataset_type}"
        callbacks.append(Snapshots(os.path.join(args.snapshot_path, name)))
    if args.reduce_lr_patience is not None:
        judged = validation is not None and args.evaluation
        monitor, mode = ("AP", "max") if judged else ("loss", "min")
        callbacks.append(
            keras.callbacks.ReduceLROnPlateau(
                monitor, args.reduce_lr_factor, args.reduce_lr_patience, verbose=1, mode=mode
            )
        )
    if args.tensorboard_dir:
        callbacks.append(
            keras.callbacks.TensorBoard(args.tensorboard_dir, update_freq=args.tensorboard_freq)
        )
    callbacks.append(keras.callbacks.TerminateOnNaN())
    return callbacks


def describe(train, val, generator):
    """Prints what is trained on, and which share of each class's boxes the anchors reach."""
    from ..preprocessing.coverage import anchor_coverage

    held_out = f", {len(val.records)} to evaluate on" if val else ""
    print(f"{len(train.records)} images to train on{held_out}")
    print("class: boxes, share that an anchor reaches at IoU 0.5")
    for name, (count, share) in anchor_coverage(generator).items():
        print(f"  {name}: {count}, {'-' if share is None else f'{share:.1%}'}")


def run(args):
    choose_gpu(args.gpu)
    if args.tensorboard_dir and importlib.util.find_spec("tensorboard") is None:
        raise InputError(
            "--tensorboard-dir: expected TensorBoard: pip install 'keras-retinanet[tensorboard]'"
        )
    train, val = read_datasets(args)
    for folder in (args.snapshots and args.snapshot_path, args.tensorboard_dir):
        if folder:
            check_folder(folder)
    start_backend()
    import keras

    from ..callbacks.snapshots import Snapshots
    from ..distribution import scope
    from ..preprocessing.feed import feed
    from .trials import try_assigner, try_stage

    keras.utils.set_random_seed(args.seed)
    with scope(args.multi_gpu):
        model, inference = create_models(args, train.class_names)
        training, validation = create_generators(args, train, val, model)
        steps = args.steps or len(training)
        first = model.progress.get("epoch", 0) if args.initial_epoch is None else args.initial_epoch
        if first >= args.epochs:
            raise InputError(
                f"Expected more epochs than the {first} that are done. "
                f"Received: --epochs {args.epochs}"
            )
        plan = stages_of(args, model, train)
        optimizer = make_optimizer(args, model, steps, first)
        model.progress = {**model.progress, "stages": plan}
    for stage in plan:
        try_stage(model, stage)
    try_assigner(model.progress.get("assigner", args.assigner), training)
    describe(train, val, training)
    callbacks = create_callbacks(args, inference, validation)
    snapshots = next((c for c in callbacks if isinstance(c, Snapshots)), None)
    options = {"workers": args.workers, "ahead": args.max_queue_size}
    validated = validation if args.compute_val_loss and val else None
    try:
        for stage in plan:
            until = min(stage["until"] or args.epochs, args.epochs)
            if first >= until:
                continue
            with scope(args.multi_gpu):
                compile_stage(model, optimizer, stage)
            model.fit(
                feed(training, first * steps, **options),
                steps_per_epoch=steps,
                epochs=until,
                initial_epoch=first,
                shuffle=False,
                callbacks=callbacks,
                validation_data=validated and feed(validated, **options),
                validation_steps=validated and len(validated),
            )
            first = until
            if model.stop_training:
                break
        for path in snapshots.kept if snapshots else ():
            print(f"kept {path}")
    except Exception:
        failure = training.failure or (validation and validation.failure)
        if failure:
            raise failure from None
        raise


def main(args=None):
    with user_errors("retinanet-train"):
        run(parse_args(sys.argv[1:] if args is None else args))


if __name__ == "__main__":
    main()
