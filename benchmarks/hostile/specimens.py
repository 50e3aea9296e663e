"""The specimens of each kind; the same number always makes the same one."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from . import commands, datasets, structures, weights
from . import known as fixed
from .files import NODES
from .mutations import mutate
from .runner import Specimen

Made = tuple  # the recipe, command, argv and files of a `Specimen`, and perhaps its outputs
ARGUMENTS = {
    "csv": (["in/train.csv", "in/classes.csv"], ["csv", "in/train.csv"]),
    "oid": (["in"], ["oid", "--parent-label=all", "in"]),
    "coco": (["in"], ["coco", "in/annotations/instances_train.json"]),
    "yolo": (["in"], ["yolo", "in/data.yaml"]),
    "labelme": (["in"], ["labelme", "in/a.json"]),
    "cvat": (["in"], ["cvat", "in/annotations.xml"]),
}
TARGETS = ("csv", "coco", "pascal", "kitti", "oid", "yolo")
NAMES = (b"a\nb.png", b"\x1b[31m.png", b"\xff\xfe.png", b"--help.png", b"'\"$(id).png", b"%00.jpg",
         "é猫.png".encode(), b" .png", b"a" * 251 + b".png", b"\xed\xa0\x80.jpg")  # fmt: skip


def reading(rng: Random, data: list[str]) -> tuple[str, list[str]]:
    """Return (command, argv) of a command that reads a data set."""
    target = rng.choice(TARGETS)
    ways = [
        ("doctor", ["--no-html", *data]),
        ("doctor", ["--html", "out/d.html", "--write-config", "out/a.ini", *data]),
        ("doctor", ["--no-html", "--quick", *data]),
        ("doctor", ["--no-html", "--fix", "out/fix", *data]),
        ("convert_dataset", [*data, target, "out/set"]),
        ("convert_dataset", ["--strict", "--pictures", "link", *data, target, "out/set"]),
        ("debug", ["--no-gui", "--output-dir", "out/debug", *data]),
    ]
    return rng.choice(ways)


def dataset(kind: str) -> Callable[[Random], Made]:
    """Return the maker of data sets of a format."""

    def make(rng: Random) -> Made:
        files: dict = dict(datasets.FORMATS[kind]())
        data = list(rng.choice(ARGUMENTS.get(kind, (["in"], [kind, "in"]))))
        command, argv = reading(rng, data)
        how = rng.random()
        if how < 0.1:
            name, node = rng.choice(sorted(files)), rng.choice(sorted(NODES))
            files[name] = NODES[node]
            recipe = f"{node} as {name}"
        elif how < 0.18:
            old = rng.choice([name for name in files if name not in datasets.annotations_of(files)])
            new = rng.choice(NAMES).decode("utf-8", "surrogateescape")
            files[f"{old.rpartition('/')[0]}/{new}".lstrip("/")] = files[old]
            recipe = f"{old} again as {new!a}"
        else:
            name = rng.choice(datasets.annotations_of(files))
            ways = []
            for _ in range(rng.choice((1, 1, 1, 2))):
                way, files[name] = mutate(name, files[name], rng)
                ways.append(way)
            recipe = f"{name}: {', '.join(ways)}"
        return recipe, command, argv, files

    return make


def image(rng: Random) -> Made:
    """A data set of one damaged image."""
    suffix = rng.choice(sorted(datasets.FORMAT))
    modes = {"jpg": ("RGB", "L", "CMYK"), "bmp": ("RGB", "1"), "webp": ("RGB", "RGBA")}
    mode = rng.choice(modes.get(suffix, ("RGB", "RGBA", "L", "P", "1")))
    mode = "P" if suffix == "gif" else mode
    name, data = f"x.{suffix}", datasets.image(f"x.{suffix}", mode)
    ways = []
    for _ in range(rng.choice((0, 1, 1, 2, 3))):
        way, data = mutate(name, data, rng)
        ways.append(way)
    other = f"y.{rng.choice(sorted(datasets.FORMAT))}" if rng.random() < 0.1 else name
    files = {
        f"images/{other}": data,
        "images/b.jpg": datasets.image("b.jpg"),
        "train.csv": f"images/{other},1,2,30,40,cat\nimages/b.jpg,1,2,30,40,dog".encode(),
    }
    command, argv = reading(rng, ["csv", "in/train.csv"])
    if rng.random() < 0.1:
        command, argv = "detect", ["in/detector.keras", "in/images", "--json", "out/d.json"]
        files |= commands.models()
    return f"{mode} {other}: {', '.join(ways)}", command, argv, files


def model(rng: Random) -> Made:
    """A damaged .keras file."""
    files: dict = {"train.csv": b"images/a.png,1,2,30,40,cat", **datasets.images("images")}
    name = rng.choice(("training.keras", "detector.keras"))
    data, times = commands.models()[name], rng.choice((1, 1, 2))
    for _ in range(times):
        data = structures.mutate(name, data, rng)
    files[name] = data
    detect = ("detect", [f"in/{name}", "in/images", "--output", "out/d"])
    ways = [detect, detect, ("train", ["--weights", f"in/{name}", *commands.TRAIN[1:]])]
    if name == "training.keras":
        ways += [("convert_model", [f"in/{name}", "out/m.keras"])] * 2
        ways += [("train", ["--snapshot", f"in/{name}", *commands.AFTER_START])]
    return f"{name}: {times} mutations", *rng.choice(ways), files


def weight_file(rng: Random) -> Made:
    """A damaged file of weights of another project."""
    name = rng.choice(sorted(weights.SEEDS))
    source, make = weights.SEEDS[name]
    data = make()
    times = rng.choice((1, 1, 1, 2, 4))
    for _ in range(times):
        data = structures.mutate(name, data, rng)
    if rng.random() < 0.1:
        source = rng.choice(("torchvision", "detectron2", "mmdetection", "backbone"))
    content = NODES[rng.choice(sorted(NODES))] if rng.random() < 0.03 else data
    argv = [source, f"in/{name}", "out/w.keras"]
    return f"{name}: {times} mutations", "import_weights", argv, {name: content}


def preset(rng: Random) -> Made:
    """A damaged preset of KerasHub."""
    files: dict = weights.preset()
    name = rng.choice(["task.json"] * 6 + ["model.weights.h5", "task.weights.h5"])
    way, files[name] = "item", structures.mutate(name, files[name], rng)
    if name == "task.json":
        way, files[name] = mutate(name, weights.preset()[name], rng)
    return f"{name}: {way}", "import_weights", ["kerashub", "in", "out/w.keras"], files


def option(rng: Random, index: int) -> Made:
    """A command line with an extreme value at one option."""
    cases = commands.option_cases()
    name, flag, action = cases[index % len(cases)]
    argv = list(commands.usual(name, flag))
    if action.nargs == 0:
        given, recipe = [flag], flag
    else:
        value = commands.value_for(name, action, rng)
        given, recipe = [f"{flag}={value}"], f"{flag} {value[:60]!a}"
    at = rng.choice((0, len(argv))) if name != "train" else len(argv)
    return recipe, name, argv[:at] + given + argv[at:], commands.files()


def output(rng: Random, index: int) -> Made:
    """An output option that names an input, or what is no file."""
    cases = commands.output_cases()
    command, argv, files, target = cases[index % len(cases)]
    return f"writes {target}", command, argv, {**files, **commands.models()}, (target,)


def known(rng: Random, index: int) -> Made:
    """A kind of fault that has been found before."""
    return fixed.cases()[index % len(fixed.cases())]


KINDS: dict[str, tuple[Callable, int]] = {  # its maker, and how many there are
    **{name: (dataset(name), 190) for name in datasets.FORMATS},
    "images": (image, 400),
    "models": (model, 250),
    "weights": (weight_file, 450),
    "presets": (preset, 120),
    "options": (option, 700),
    "outputs": (output, 189),
    "known": (known, 65),
}
NUMBERED = ("options", "outputs", "known")  # kinds that go through a list of cases


def specimen(kind: str, index: int) -> Specimen:
    """Return a specimen of a kind."""
    rng = Random(f"{kind} {index}")
    make = KINDS[kind][0]
    recipe, command, argv, files, *outputs = make(rng, index) if kind in NUMBERED else make(rng)
    encoding = rng.choice(("utf-8", "utf-8", "utf-8", "ascii", "cp1252"))
    return Specimen(f"{kind}/{index}", recipe, command, argv, files, encoding, *outputs)
