"""The data set on a command line: its kind and its arguments, or a path whose kind is found out."""

import argparse
import os

from ..errors import InputError
from ..utils.text import listed

KINDS = {  # what PATH is
    "csv": "a CSV file of rows path,x1,y1,x2,y2,class, or with a header that names its columns",
    "coco": "a COCO folder, annotations/instances_SET.json and images/SET, or a JSON file",
    "pascal": "a Pascal VOC folder, Annotations, ImageSets/Main, JPEGImages, or one of XML files",
    "kitti": "a KITTI folder, training/label_2 and training/image_2",
    "oid": "an Open Images folder, SET-annotations-bbox.csv and images/SET",
    "yolo": "a YOLO data.yaml, or its folder",
    "labelme": "a folder of labelme's JSON files",
    "cvat": "an XML file of CVAT",
}
NAMED = ("pascal", "kitti", "labelme", "cvat")  # whose classes are the names that are found
TRAIN_SETS = ("train", "train2017", "training", "trainval")
VAL_SETS = ("val", "val2017", "valid", "validation")
TEST_SETS = ("test", *VAL_SETS)


def parse_with_data(parser, argv, use, last=None):
    """The arguments of a command, with those of its data set.

    The options of `parser`, made with `add_help=False`, may stand before or after the data set.

    Args:
        use: "train" (a set to train on and one to evaluate on), "evaluate" (one set) or "look"
            (any sets, by default all).
        last: {name: keywords of `add_argument`} of the arguments that follow the data set.
    """
    parser.add_argument("-h", "--help", dest="wants_help", action="store_true", help="show this")
    kinds = [f"  {kind:8} {text}" for kind, text in KINDS.items()]
    parser.epilog = "\n".join(
        [
            "DATASET is a path, whose kind is found out, or a kind and its arguments:",
            *kinds,
            f"{parser.prog} KIND --help lists the arguments of a kind.",
        ]
    )
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    args, rest = parser.parse_known_args(argv)
    wants_help = args.__dict__.pop("wants_help")
    if wants_help and not (rest and rest[0] in KINDS):
        parser.print_help()
        parser.exit()
    if not rest:
        parser.error("the following arguments are required: DATASET")
    if rest[0].startswith("-"):
        parser.error(f"unrecognized arguments: {rest[0]}")
    if rest[0] not in KINDS:
        rest = [_kind_of(parser, rest[0]), *rest]
    kind = rest[0]
    args = _kind_parser(parser, kind, use, last).parse_args(
        [*rest[1:], *["--help"] * wants_help],
        argparse.Namespace(**vars(args), dataset_type=kind),
    )
    if args.images is not None and not os.path.isdir(args.images):
        parser.error(f"--images: no such folder: {args.images!r}")
    return args


def _kind_of(parser, path):
    from ..preprocessing.readers.recognise import kind_of

    if not os.path.exists(path):
        parser.error(
            f"DATASET: no such file or folder: {path!r}, nor a kind of data set ({listed(KINDS)})"
        )
    return kind_of(path)


def _kind_parser(parser, kind, use, last):
    """The parser of what follows the kind of a data set."""
    data = argparse.ArgumentParser(prog=f"{parser.prog} {kind}", description=f"PATH: {KINDS[kind]}")
    data.add_argument("path", metavar="PATH", help=KINDS[kind])
    add = data.add_argument
    if kind == "csv":
        add(
            "classes",
            metavar="CLASSES",
            nargs="?",
            help="a file of rows name,id; by default the names found in the training annotations, "
            "or those of the model",
        )
    for name, keywords in (last or {}).items():
        add(name, **keywords)
    add(
        "--images",
        "--base-dir",
        metavar="DIR",
        help="folder of the pictures, where it is not the data set's own",
    )
    if kind in NAMED:
        add(
            "--classes",
            metavar="FILE",
            help="class file, rows name,id; by default the names found in the training "
            "annotations, or those of the model",
        )
    if kind == "pascal":
        add("--image-extension", default=".jpg", help="tried first (%(default)s)")
        add(
            "--zero-based",
            action="store_true",
            help="coordinates count from 0: do not subtract 1, as VOC needs it",
        )
        add("--skip-difficult", action="store_true", help="leave out objects marked as difficult")
        add("--skip-truncated", action="store_true", help="leave out objects marked as truncated")
    if kind == "oid":
        add("--version", help="such as v4; the file names are found without it")
        add("--labels-filter", metavar="A,B", help="only these classes")
        add("--parent-label", metavar="NAME", help="only this class and those below it")
        add("--annotation-cache-dir", help=argparse.SUPPRESS)
    if use == "train":
        add("--train-set", metavar="SET", help=f"to train on ({', '.join(TRAIN_SETS)})")
        add("--val-set", metavar="SET", help=f"to evaluate on ({', '.join(VAL_SETS)})")
        add("--val-annotations", metavar="PATH", help="evaluate on this data set of the same kind")
    elif use == "evaluate":
        add("--set", metavar="SET", help=f"to evaluate on ({', '.join(TEST_SETS)})")
    else:
        add("--set", metavar="SET", action="append", help="again for several (all)")
        add("--val-annotations", metavar="PATH", help="a further data set of the same kind")
    return data


def sets_of(args, path=None):
    """The names of the sets at a path, [] where it holds but one without a name."""
    from ..preprocessing.readers import SETS

    return SETS[args.dataset_type](path or args.path) if args.dataset_type in SETS else []


def choose_set(args, wanted, usual, needed=True):
    """The name of a set: the wanted one, else the first of the usual ones; None for the only one.

    Where there is none of the usual ones, that is an InputError, or None if it is not `needed`.
    """
    sets = sets_of(args)
    if wanted and not sets:
        raise InputError(
            f"{args.path}: expected no name of a set, for it holds but one. Received: {wanted}"
        )
    if wanted or not sets:
        return wanted
    found = next((name for name in usual if name in sets), None)
    if found is None and needed and len(sets) == 1:
        return sets[0]
    if found is None and needed:
        raise InputError(f"{args.path}: expected the name of a set among {listed(sets)}")
    return found


def read_data(args, set_name=None, path=None, classes=None, faults=None):
    """The `Dataset` of a set, not yet checked.

    `path` stands for the one of the arguments; `classes` are the names to expect where neither the
    data set nor the arguments list them. Entries that cannot be read are an InputError, or lines of
    the list `faults`.
    """
    from ..preprocessing import readers

    path, images = path or args.path, args.images
    names = classes
    if getattr(args, "classes", None):
        names = list(readers.csv.read_classes(args.classes))
    common = {"images_dir": images, "faults": faults}
    kind = args.dataset_type
    if kind == "csv":
        return readers.read_csv(path, args.classes or classes, images, faults)
    if kind == "coco":
        return readers.read_coco(*readers.coco.coco_paths(path, set_name, images), faults)
    if kind == "pascal":
        return readers.read_pascal(
            path,
            set_name,
            names,
            image_extension=args.image_extension,
            skip_truncated=args.skip_truncated,
            skip_difficult=args.skip_difficult,
            one_based=not args.zero_based,
            **common,
        )
    if kind == "kitti":
        return readers.read_kitti(path, set_name, names, **common)
    if kind == "oid":
        wanted = [name.strip() for name in (args.labels_filter or "").split(",") if name.strip()]
        return readers.read_open_images(
            path, set_name, args.version, wanted or None, args.parent_label, **common
        )
    if kind == "yolo":
        return readers.read_yolo(path, set_name, **common)
    return readers.READERS[kind](path, names, **common)


def read_training(args, want_val=True):
    """(data set to train on, data set to evaluate on or None), of the same classes, unchecked."""
    from ..preprocessing.dataset import with_classes

    train = read_data(args, choose_set(args, args.train_set, TRAIN_SETS))
    names = train.class_names
    if args.val_annotations:
        val = read_data(args, path=args.val_annotations, classes=names)
    else:
        val_set = choose_set(args, args.val_set, VAL_SETS, needed=False) if want_val else None
        val = val_set and read_data(args, val_set, classes=names)
    return train, with_classes(val, names) if val else None


def read_sets(args, tolerant=True):
    """{name: (Dataset, faults)} of the sets that are asked for, all that are there by default.

    They count the same classes: those of the first set and, after them, what others have besides.
    Without `tolerant`, an entry that cannot be read is an InputError.
    """
    from ..preprocessing.dataset import with_classes

    for name in args.set or ():
        choose_set(args, name, ())
    names = args.set or in_order(sets_of(args))
    wanted = [(name, name, args.path) for name in names] or [("train", None, args.path)]
    if args.val_annotations:
        known = sets_of(args, args.val_annotations)
        wanted.append(("val", "val" if known else None, args.val_annotations))
    splits = {}
    for name, set_name, path in wanted:
        faults = [] if tolerant else None
        splits[name] = read_data(args, set_name, path, faults=faults), faults
    names = dict.fromkeys(name for data, _ in splits.values() for name in data.class_names)
    return {
        name: (with_classes(data, list(names)), faults) for name, (data, faults) in splits.items()
    }


def in_order(sets):
    """The names of sets that share no image, those to train on first."""
    if {"train", "val"} <= set(sets):
        sets = [name for name in sets if name != "trainval"]
    # nor "cow_train", VOC's list of one class
    sets = [name for name in sets if not any(name.endswith(f"_{other}") for other in sets)]
    ranks = {name: rank for rank, name in enumerate((*TRAIN_SETS, *VAL_SETS, "test"))}
    return sorted(sets, key=lambda name: (ranks.get(name, len(ranks)), name))
