"""The model and optimizer of a training: new, from a detector, or from a snapshot."""

from ..detectors import DETECTORS
from ..errors import InputError
from .cli import check_classes, chosen_backbone, load_snapshot, read_config
from .fine_tuning import fine_tuned, placed_as

SMALL_BATCH = 16  # below it the statistics of live batch norm are too noisy to train with


def usual_anchors(args, source=None):
    """(AnchorParameters, pyramid levels) of --config, else of the detector that the model starts
    from, else of --detector.
    """
    if source is None:
        return read_config(args.config, DETECTORS[args.detector].get("anchor_side"))
    if args.config is None:
        return source.anchor_params, source.pyramid_levels
    return placed_as(source, *read_config(args.config))


def anchors_of(args, train, source=None):
    """(AnchorParameters, pyramid levels): the usual ones, or fitted to the data set."""
    usual = usual_anchors(args, source)
    if not args.fit_anchors:
        return usual
    from ..preprocessing.coverage import objects_of
    from ..utils.anchor_fit import fit_anchors, reach
    from ..utils.resizing import resized_size

    def resize(size):
        return (
            size if args.no_resize else resized_size(size, args.image_min_side, args.image_max_side)
        )

    found = objects_of(train, resize)
    counts = len(usual[0].ratios), len(usual[0].scales)
    levels = source and source.pyramid_levels
    fitted = fit_anchors(found.boxes, found.image_sizes, found.labels, levels, *counts)
    fitted = placed_as(source, *fitted) if source else fitted
    before, after = (
        (reach(found.boxes, found.image_sizes, *anchors) >= 0.5).mean()
        for anchors in (usual, fitted)
    )
    print(f"fitted anchors reach {after:.1%} of the objects, the usual ones {before:.1%}")
    rows = {**fitted[0].rows(), "levels": fitted[1]}
    print(", ".join(f"{name} {' '.join(f'{v:.3g}' for v in row)}" for name, row in rows.items()))
    return fitted


def create_models(args, class_names, anchors=None, source=None):
    """(training model, inference model): new, from the detector `source`, or from the snapshot.

    `anchors` are (AnchorParameters, pyramid levels) of a new model, by default the usual ones.
    """
    from ..losses import CLASSIFICATION_LOSSES
    from ..models import convert_model
    from .trials import try_coder

    if args.snapshot:
        model = load_snapshot(args.snapshot, args.backbone)
        if not model.is_training_model:
            raise InputError(
                f"{args.snapshot}: expected a training model. Received: an inference model"
            )
        check_classes(args.snapshot, model, class_names)
        check_anchors(args.config, model)
        return model, convert_model(model)
    anchors = anchors or usual_anchors(args, source)
    if source:
        model = fine_tuned(args, class_names, anchors, source)
        return model, convert_model(model)
    chosen = chosen_backbone(args)
    weights = None if args.no_weights else args.weights or chosen.download_imagenet()
    scratch_norm = "group" if args.batch_size < SMALL_BATCH else "batch"
    norm = args.norm or (scratch_norm if weights is None else "batch")
    kind = DETECTORS[args.detector]
    params, levels = anchors
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
        freeze_stages=args.freeze_stages,
        norm=norm,
        feature_size=args.feature_size,
        head_size=args.head_size,
        head_depth=args.head_depth,
        anchors=params,
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
    known = {"levels": model.pyramid_levels, **model.anchor_params.rows()}
    asked = {"levels": levels, **anchors.rows()}
    for name, values in known.items():
        if asked[name] != values:
            raise InputError(
                f"{path}: expected the {name} {values} of the snapshot. Received: {asked[name]}"
            )


def rate_of(args, model):
    """The peak learning rate: that of --lr, or of the recipe."""
    from .. import recipes

    start = model.progress.get("start", "pretrained")
    width = model.get_layer(f"P{model.pyramid_levels[0]}").output.shape[-1]
    return args.lr or recipes.peak_rate(start, args.batch_size * args.accumulate, width)


def make_optimizer(args, model, steps, first):
    """The optimizer of the recipe of the model's start, to train from epoch `first` on; `steps` are
    the batches of an epoch.

    A snapshot keeps its optimizer's state, unless that has a schedule and now wants none.
    """
    from .. import recipes

    start = model.progress.get("start", "pretrained")
    rate = rate_of(args, model)
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
