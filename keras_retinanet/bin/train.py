"""Trains a RetinaNet: `retinanet-train [options] DATASET ...`."""

import importlib.util
import os
import sys

from ..distribution import scope
from ..errors import InputError
from ..utils.outputs import check_outputs, recorded_inputs
from .cli import check_folder, choose_gpu, start_backend, user_errors
from .data_options import read_training
from .fine_tuning import pretrained
from .image_options import augmentation_of
from .stages import compile_stage, stages_of
from .train_model import anchors_of, create_models, make_optimizer, rate_of
from .train_options import parse_args


def read_datasets(args):
    """(training, validation or None), both checked."""
    from ..doctor.checks import glance
    from ..doctor.findings import sentence
    from ..preprocessing.dataset import checked

    train, val = read_training(args, args.evaluation or args.compute_val_loss)
    sets = {"train": checked(train, args.strict)}
    if val:
        sets["val"] = checked(val, args.strict, need_boxes=False)
    sides = None if args.no_resize else (args.image_min_side, args.image_max_side)
    for finding in glance(sets, sides):
        if args.strict and finding.severity == "error":
            raise InputError(f"Found {sentence(finding)}")
        print(f"data, {finding.severity}: {sentence(finding)}")
    return sets["train"], sets.get("val")


def create_generators(args, train, val, model):
    """The generators of the two sets, as `model` takes its input."""
    from ..evaluation.detections import input_options
    from ..preprocessing.generator import Generator

    common = {
        **input_options(model),
        "batch_size": args.batch_size,
        "group_method": args.group_method,
        "no_resize": args.no_resize,
        "anchor_params": model.anchor_params,
        # plain copies: what a model holds cannot be sent to worker processes
        "pyramid_levels": list(model.pyramid_levels),
        "assigner": dict(model.progress.get("assigner", args.assigner)),
        "compact": True,
        "seed": args.seed,
        "strict": args.strict,
    }
    training = Generator(
        train,
        augmentation=augmentation_of(args),
        multi_scale=args.multi_scale or (),
        repeat_threshold=args.repeat_threshold,
        **common,
    )
    validation = val and Generator(
        val, **{**common, "group_method": "canvas"}, shuffle_groups=False
    )
    return training, validation


def create_callbacks(args, inference, validation, files):
    """Evaluation, snapshots, the learning rate and TensorBoard, in this order.

    Raises:
        InputError: a snapshot would replace --weights, --config or one of the `files` read.
    """
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
        snapshots = Snapshots(os.path.join(args.snapshot_path, name))
        # resuming a snapshot replaces it
        named = filter(None, (args.weights, args.config))
        check_outputs({"--snapshot-path": snapshots.paths}, [*named, *files])
        callbacks.append(snapshots)
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


def describe(train, val, coverage):
    """Prints what is trained on, and which share of each class's boxes the anchors reach."""
    held_out = f", {len(val.records)} to evaluate on" if val else ""
    print(f"{len(train.records)} images to train on{held_out}")
    print("class: boxes, share that an anchor reaches at IoU 0.5")
    for name, (count, share) in coverage.items():
        print(f"  {name}: {count}, {'-' if share is None else f'{share:.1%}'}")


def run(args):
    choose_gpu(args.gpu)
    if args.tensorboard_dir and importlib.util.find_spec("tensorboard") is None:
        raise InputError(
            "--tensorboard-dir: expected TensorBoard: pip install 'keras-retinanet[tensorboard]'"
        )
    augmentation_of(args)  # tells of mistakes before any work
    with scope(args.multi_gpu):
        source = pretrained(args)
    if args.kept:
        print(f"{args.snapshot or args.weights} keeps its own; no effect: {', '.join(args.kept)}")
    with recorded_inputs() as files:
        train, val = read_datasets(args)
    for folder in (args.snapshots and args.snapshot_path, args.tensorboard_dir):
        if folder:
            check_folder(folder)
    start_backend()
    import keras

    from ..callbacks.snapshots import Snapshots
    from ..preprocessing.coverage import anchor_coverage
    from ..preprocessing.feed import feed
    from .preflight import check_coverage, preflight
    from .trials import try_assigner, try_stage

    keras.utils.set_random_seed(args.seed)
    with scope(args.multi_gpu):
        anchors = anchors_of(args, train, source)
        model, inference = create_models(args, train.class_names, anchors, source)
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
    coverage = anchor_coverage(training)
    describe(train, val, coverage)
    callbacks = create_callbacks(args, inference, validation, files)
    if args.preflight:
        check_coverage(coverage)
        preflight(model, training, plan[0], rate_of(args, model))
        keras.utils.set_random_seed(args.seed)
    snapshots = next((c for c in callbacks if isinstance(c, Snapshots)), None)
    options = {"workers": args.workers, "ahead": args.max_queue_size}
    processes = {"processes": args.multiprocessing}
    validated = validation if args.compute_val_loss and val else None
    try:
        for stage in plan:
            until = min(stage["until"] or args.epochs, args.epochs)
            if first >= until:
                continue
            with scope(args.multi_gpu):
                compile_stage(model, optimizer, stage)
            model.fit(
                feed(training, first * steps, **options, **processes),
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
