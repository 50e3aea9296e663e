"""The names that scripts written for keras-retinanet 1.0 import, with their arguments."""

import ast
import inspect
from importlib import import_module

import pytest

pytestmark = pytest.mark.core

# module: names, and for functions and classes the arguments in their order; a default is checked
CONTRACT = {
    "models": [
        "Backbone",
        "backbone(backbone_name)",
        "load_model(filepath, backbone_name='resnet50')",
        "convert_model(model, nms, class_specific_filter, anchor_params)",
        "assert_training_model(model)",
        "check_training_model(model)",
    ],
    "models.backbone": [
        "Backbone(backbone)",
        "Backbone.retinanet(num_classes, inputs=None, modifier=None)",
        "Backbone.download_imagenet()",
        "Backbone.validate()",
        "Backbone.preprocess_image(inputs)",
        "Backbone.custom_objects",
    ],
    "models.resnet": ["ResNetBackbone(backbone)"],
    "models.densenet": ["DenseNetBackbone(backbone)"],
    "models.mobilenet": ["MobileNetBackbone(backbone)", "MobileNetBackbone.allowed_backbones"],
    "models.vgg": ["VGGBackbone(backbone)"],
    "models.effnet": ["EfficientNetBackbone(backbone)"],
    "models.senet": ["SeBackbone(backbone)"],
    "models.retinanet": [
        "retinanet(inputs, backbone_layers, num_classes, num_anchors=None, "
        "create_pyramid_features, pyramid_levels=None, submodels=None, name='retinanet')",
        "retinanet_bbox(model=None, nms=True, class_specific_filter=True, name='retinanet-bbox', "
        "anchor_params=None, pyramid_levels=None, nms_threshold=0.5, score_threshold=0.05, "
        "max_detections=300, parallel_iterations=32)",
        "default_classification_model(num_classes, num_anchors, pyramid_feature_size=256, "
        "prior_probability=0.01, classification_feature_size=256, name='classification_submodel')",
        "default_regression_model(num_values, num_anchors, pyramid_feature_size=256, "
        "regression_feature_size=256, name='regression_submodel')",
        "default_submodels(num_classes, num_anchors)",
    ],
    "losses": ["focal(alpha=0.25, gamma=2.0, cutoff=0.5)", "smooth_l1(sigma=3.0)"],
    "layers": [
        "Anchors(size, stride, ratios=None, scales=None)",
        "UpSampleLike",
        "UpsampleLike",
        "RegressBoxes(mean=None, std=None)",
        "ClipBoxes",
        "FilterDetections(nms=True, class_specific_filter=True, nms_threshold=0.5, "
        "score_threshold=0.05, max_detections=300, parallel_iterations=32)",
    ],
    "layers.filter_detections": ["filter_detections(boxes, classification)"],
    "initializers": ["PriorProbability(probability=0.01)"],
    "backend": [
        "bbox_transform_inv(boxes, deltas, mean=None, std=None)",
        "shift(shape, stride, anchors)",
    ],
    "preprocessing.generator": [
        "Generator",
        *(
            f"Generator.{name}"
            for name in (
                *("size", "num_classes", "has_label", "has_name", "name_to_label"),
                *("label_to_name", "image_aspect_ratio", "image_path", "load_image"),
                *("load_annotations", "load_annotations_group", "filter_annotations"),
                *("load_image_group", "random_transform_group_entry", "resize_image"),
                *("preprocess_group", "compute_inputs", "compute_targets"),
                *("compute_input_output", "__len__", "__getitem__"),
            )
        ),
    ],
    "preprocessing.csv_generator": [
        "CSVGenerator(csv_data_file, csv_class_file, base_dir=None)",
        "_read_classes(csv_reader)",
        "_read_annotations(csv_reader, classes)",
    ],
    "preprocessing.coco": [
        "CocoGenerator(data_dir, set_name)",
        "CocoGenerator.coco_label_to_label",
        "CocoGenerator.label_to_coco_label",
        "CocoGenerator.coco_label_to_name",
    ],
    "preprocessing.pascal_voc": [
        "voc_classes",
        "PascalVocGenerator(data_dir, set_name, classes, image_extension='.jpg', "
        "skip_truncated=False, skip_difficult=False)",
    ],
    "preprocessing.kitti": ["KittiGenerator(base_dir, subset='train')"],
    "preprocessing.open_images": [
        "OpenImagesGenerator(main_dir, subset, version='v4', labels_filter=None, "
        "annotation_cache_dir='.', parent_label=None)",
    ],
    "utils.anchors": [
        "AnchorParameters(sizes, strides, ratios, scales)",
        "AnchorParameters.default",
        "AnchorParameters.num_anchors()",
        "anchors_for_shape(image_shape, pyramid_levels=None, anchor_params=None, "
        "shapes_callback=None)",
        "guess_shapes(image_shape, pyramid_levels)",
        "make_shapes_callback(model)",
        "layer_shapes(image_shape, model)",
        "generate_anchors(base_size=16, ratios=None, scales=None)",
        "shift(shape, stride, anchors)",
        "compute_gt_annotations(anchors, annotations, negative_overlap=0.4, positive_overlap=0.5)",
        "anchor_targets_bbox(anchors, image_group, annotations_group, num_classes, "
        "negative_overlap=0.4, positive_overlap=0.5)",
        "bbox_transform(anchors, gt_boxes, mean=None, std=None)",
    ],
    "utils.compute_overlap": ["compute_overlap"],
    "utils.config": [
        "read_config_file",
        "parse_anchor_parameters(config)",
        "parse_pyramid_levels(config)",
    ],
    "utils.image": [
        "read_image_bgr(path)",
        "preprocess_image(x, mode='caffe')",
        "compute_resize_scale(image_shape, min_side=800, max_side=1333)",
        "resize_image(img, min_side=800, max_side=1333)",
        "TransformParameters",
        "adjust_transform_for_image(transform, image, relative_translation)",
        "apply_transform(matrix, image, params)",
        "random_visual_effect_generator",
    ],
    "utils.transform": [
        "colvec",
        "transform_aabb(transform, aabb)",
        "rotation(angle)",
        "random_rotation(min, max, prng)",
        "translation",
        "random_translation(min, max, prng)",
        "scaling(factor)",
        "random_scaling(min, max, prng)",
        "shear(angle)",
        "random_shear(min, max, prng)",
        "random_flip(flip_x_chance, flip_y_chance, prng)",
        "change_transform_origin(transform, center)",
        "random_transform",
        "random_transform_generator(prng=None)",
    ],
    "utils.visualization": [
        "draw_box(image, box, color, thickness=2)",
        "draw_caption(image, box, caption)",
        "draw_boxes",
        "draw_detections(image, boxes, scores, labels, color=None, label_to_name=None, "
        "score_threshold=0.5)",
        "draw_annotations(image, annotations, color=(0, 255, 0), label_to_name=None)",
    ],
    "utils.colors": ["label_color(label)"],
    "utils.gpu": ["setup_gpu(gpu_id)"],
    "utils.model": ["freeze(model)"],
    "utils.eval": [
        "evaluate(generator, model, iou_threshold=0.5, score_threshold=0.05, max_detections=100, "
        "save_path=None)",
    ],
    "utils.coco_eval": ["evaluate_coco(generator, model, threshold=0.05)"],
    "callbacks": ["RedirectModel(callback, model)"],
    "callbacks.coco": ["CocoEval(generator, tensorboard=None, threshold=0.05)"],
    "callbacks.eval": [
        "Evaluate(generator, iou_threshold=0.5, score_threshold=0.05, max_detections=100, "
        "save_path=None, tensorboard=None, weighted_average=False, verbose=1)",
    ],
    "bin.train": [
        "parse_args(args)",
        "main(args=None)",
        "create_models",
        "create_generators",
        "create_callbacks",
    ],
    "bin.evaluate": ["parse_args(args)", "main(args=None)"],
    "bin.convert_model": ["parse_args(args)", "main(args=None)"],
    "bin.debug": ["parse_args(args)", "main(args=None)"],
}
ENTRIES = [(module, entry) for module, entries in CONTRACT.items() for entry in entries]


def arguments_of(text):
    """Return {argument: default} of "a, b=1", with `empty` for an argument without default."""
    found = {}
    listed = ast.parse(f"[{text.replace('=', ':=')}]", mode="eval").body.elts
    for argument in listed:
        if isinstance(argument, ast.NamedExpr):
            found[argument.target.id] = ast.literal_eval(argument.value)
        else:
            found[argument.id] = inspect.Parameter.empty
    return found


@pytest.mark.parametrize(("module", "entry"), ENTRIES, ids=lambda text: text.partition("(")[0])
def test_old_names_take_their_old_arguments(module, entry):
    name, bracket, text = entry.partition("(")
    found = import_module(f"keras_retinanet.{module}")
    for part in name.split("."):
        found = getattr(found, part)
    if not bracket:
        return
    parameters = [p for p in inspect.signature(found).parameters.values() if p.name != "self"]
    expected = arguments_of(text.removesuffix(")"))
    assert [parameter.name for parameter in parameters[: len(expected)]] == list(expected)
    for parameter, default in zip(parameters, expected.values(), strict=False):
        assert default in (inspect.Parameter.empty, parameter.default)
