"""A training that starts from a `.keras` file of --weights: a detector, or a bare backbone."""

import dataclasses

from ..detectors import DETECTORS
from ..errors import InputError
from .cli import check_backbone, check_sides, load_keras
from .model_options import STRUCTURE


def pretrained(args):
    """The detector in the file of --weights, to which the arguments are settled; None where the
    file holds a bare backbone, whose name then is that of --backbone.
    """
    if not (args.weights or "").endswith(".keras"):
        return None
    model = load_keras(args.weights, compile=False)
    from ..models import RetinaNet, backbone_names

    detector = model if isinstance(model, RetinaNet) else None
    held = detector.backbone_name if detector else model.name
    if detector is None and held not in backbone_names():
        return None
    check_backbone(args.weights, held, args.backbone)
    if detector:
        settle(args, detector)
    else:
        args.backbone = held
    return detector


def settle(args, detector):
    """Sets the arguments that are not given as goes with a detector: its image size, and losses and
    assigner that suit its heads.
    """
    from ..weights.transfer import raw_outputs

    sides = {"image_min_side": detector.image_min_side, "image_max_side": detector.image_max_side}
    if sides["image_min_side"] is None:
        sides = {"no_resize": not {"--image-min-side", "--image-max-side"} & args.given}
    kind = "gfl" if detector.coder.size > 4 else "retinanet"
    suiting = {
        name: DETECTORS[kind][name] for name in ("classification_loss", "box_loss", "assigner")
    }
    if detector.activation == "softmax":
        suiting["classification_loss"] = {"name": "softmax_focal"}
    for name, value in {**sides, **suiting}.items():
        if f"--{name.replace('_', '-')}" not in args.given:
            setattr(args, name, value)
    own = detector.image_min_side, detector.image_max_side
    check_sides(args.image_min_side, args.image_max_side, own)
    args.kept = [option for option in STRUCTURE if option in args.given]
    args.iou_branch = "iou" in raw_outputs(detector)


def placed_as(detector, anchors, levels):
    """(AnchorParameters, pyramid levels): anchors of other shapes, placed as those of a detector
    are."""
    return dataclasses.replace(detector.anchor_params, **anchors.rows()), levels


def fine_tuned(args, class_names, anchors, detector):
    """The training model for other classes and perhaps other anchors, and prints what it keeps."""
    from ..models.norms import freeze_batch_norm
    from ..weights.transfer import backbone_of, described, with_classes

    params, levels = anchors or (None, None)
    try:
        model, transfer = with_classes(
            detector,
            class_names,
            params,
            levels,
            image_min_side=None if args.no_resize else args.image_min_side,
            image_max_side=None if args.no_resize else args.image_max_side,
            progress={"start": "pretrained", "epoch": 0, "assigner": args.assigner},
        )
        model.trainable = True  # whatever was frozen when the detector was trained
        if args.freeze_bn in (True, None):
            freeze_batch_norm(model)
        if args.freeze_backbone:
            for layer in backbone_of(model).layers:
                layer.trainable = False
        if args.freeze_stages:
            freeze_first(model, args.freeze_stages)
    except InputError as error:
        raise InputError(f"{args.weights}: {error}") from None
    print(described(transfer, args.weights))
    names = [loss["name"] for loss in (args.classification_loss, args.box_loss, args.assigner)]
    size = f"{args.image_min_side} to {args.image_max_side} px"
    print(
        f"losses {names[0]} and {names[1]}, assigner {names[2]}, images "
        + ("as they are" if args.no_resize else size)
    )
    return model


def freeze_first(model, count):
    """Freezes so many stages of the backbone of a detector, as `Backbone.freeze_stages`."""
    from ..models import backbone
    from ..weights.transfer import backbone_of

    try:
        backbone(model.backbone_name).freeze_stages(backbone_of(model), count)
    except InputError:
        raise
    except (AttributeError, ValueError):  # a name that is not known, or of other layers
        raise InputError(
            f"--freeze-stages: expected a backbone by name. Received: {model.backbone_name}; "
            "--freeze-backbone freezes any"
        ) from None
