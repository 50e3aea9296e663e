"""What a YOLO data set is made of: a data.yaml, Darknet's obj.data, or folders and class names."""

import dataclasses
import os

from keras_retinanet.errors import InputError
from keras_retinanet.preprocessing.readers.files import (
    PICTURES,
    files_under,
    find_file,
    folders_in,
    holds,
    names_in,
    pictures_by_stem,
    stem,
)
from keras_retinanet.utils.text import listed, read_text

NAME_FILES = ("obj.names", "classes.txt", "_darknet.labels", "names.txt", "labels.txt")
SYNONYMS = {"val": "valid", "valid": "val"}


@dataclasses.dataclass(frozen=True)
class Layout:
    """The class names, and the lists or folders of the pictures of each set, as they are written.

    A data set without the name of a set has the one None.
    """

    source: str  # the file or folder that says so
    roots: list[str]  # the folders that paths may start from
    names: list[str]
    sets: dict[str | None, list[str]]
    keypoints: bool = False  # rows go on with them after the box


def find_layout(path):
    """The `Layout` of a data.yaml, an obj.data or a folder; InputError says what is missing."""
    path = str(path)
    if os.path.isfile(path):
        return _yaml_layout(path) if path.lower().endswith((".yaml", ".yml")) else _darknet(path)
    yamls, data = (names_in(path, suffixes) for suffixes in ((".yaml", ".yml"), (".data",)))
    usual = [name for name in ("data.yaml", "dataset.yaml") if name in yamls]
    if usual or len(yamls) == 1:
        return _yaml_layout(os.path.join(path, (usual or yamls)[0]))
    return _darknet(os.path.join(path, data[0])) if data else _folders(path)


def _yaml_layout(path):
    import yaml

    text = read_text(path)
    try:
        content = yaml.safe_load(text)
    except (yaml.YAMLError, RecursionError, ValueError) as error:  # ValueError: 30 February
        mark = getattr(error, "problem_mark", None)
        place = f": line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        reason = getattr(error, "problem", None) or str(error).partition("\n")[0]
        raise InputError(f"{path}{place}: malformed YAML: {reason}") from None
    if not isinstance(content, dict) or "names" not in content:
        raise InputError(f"{path}: expected the keys names, train and val")
    names = _names(content["names"], path)
    _check_count(content.get("nc", len(names)), names, path)
    sets = {}
    for key in ("train", "val", "valid", "test"):
        if content.get(key):
            entries = content[key] if isinstance(content[key], list) else [content[key]]
            sets[key] = [str(entry) for entry in entries]
    folder = os.path.dirname(path)
    root = os.path.join(folder, os.path.expanduser(str(content.get("path") or "")))
    roots = [root, folder] if os.path.isdir(root) else [folder]
    return Layout(path, roots, names, sets, keypoints="kpt_shape" in content)


def _names(names, path):
    """The class names of a list, or of a dict {0: name, 1: name, ...}."""
    if isinstance(names, dict):
        if set(names) != set(range(len(names))):
            expected = f"expected the keys 0 to {len(names) - 1}"
            raise InputError(f"{path}: names: {expected}. Received: {listed(names)}")
        names = [names[label] for label in range(len(names))]
    if not isinstance(names, list) or not names:
        raise InputError(f"{path}: names: expected a list of class names. Received: {names!r}")
    return _checked_names(names, path)


def _checked_names(names, path):
    """The names as texts, once each."""
    for name in names:
        if name is None or isinstance(name, list | dict):
            raise InputError(f"{path}: names: expected a class name. Received: {name!r}")
    names = [str(name) for name in names]
    twice = [name for i, name in enumerate(names) if name in names[:i]]
    if twice:
        raise InputError(f"{path}: names: class name twice: {twice[0]!r}")
    return names


def _check_count(count, names, path):
    if str(count) != str(len(names)):
        raise InputError(f"{path}: expected {count} class names. Received: {len(names)}")


def _darknet(path):
    """The layout of a file of rows `key = value`."""
    rows = (line.partition("=") for line in read_text(path).splitlines() if "=" in line)
    content = {key.strip(): value.strip() for key, _, value in rows}
    if "names" not in content:
        raise InputError(f"{path}: expected rows 'names = FILE' and 'train = FILE'")
    folder = os.path.dirname(path)
    names = _names_in(find_file(content["names"], [folder]))
    _check_count(content.get("classes", len(names)), names, path)
    sets = {key: [content[key]] for key in ("train", "valid", "test") if content.get(key)}
    return Layout(path, [folder], names, sets)


def _names_in(path):
    """The class names of a file that has one a line."""
    names = [*filter(None, map(str.strip, read_text(path).splitlines()))]
    if not names:
        raise InputError(f"{path} holds no class names")
    return _checked_names(names, path)


def _folders(path):
    """The layout of a folder with class names in a file, and pictures in images or in its sets."""
    inner = folders_in(path)
    candidates = [os.path.join(path, *parts) for parts in ((), *((name,) for name in inner))]
    files = (os.path.join(folder, name) for folder in candidates for name in NAME_FILES)
    source = next(filter(os.path.isfile, files), None)
    if source is None:
        raise InputError(f"{path}: expected data.yaml, obj.data or one of {listed(NAME_FILES)}")
    images = [name for name in inner if name.lower() == "images"]
    sets = {
        name: [os.path.join(folder, name)]
        for folder in images
        for name in folders_in(os.path.join(path, folder))
    }
    if not sets and not images:
        sets = {name: [name] for name in inner if _has_pictures(os.path.join(path, name))}
    return Layout(source, [path], _names_in(source), sets or {None: images or ["."]})


def _has_pictures(folder):
    return holds(folder, PICTURES) or holds(os.path.join(folder, "images"), PICTURES)


def pictures_of(layout, set_name, images_dir=None):
    """{picture: its label file, or None} of a set.

    With `images_dir` the pictures of a folder are those that label files name.
    """
    pairs = {}
    for entry in layout.sets[set_name]:
        path = resolve(layout, set_name, entry)
        if path is None and images_dir is None:
            raise InputError(f"{layout.source}: {set_name}: no such folder or file: {entry!r}")
        if path is not None and os.path.isfile(path):
            pairs.update(_of_list(path, layout, images_dir))
        elif images_dir is None:
            images = files_under(path, PICTURES)
            pairs.update((image, _existing(_label_places(image))) for image in images)
        else:
            folder = path or os.path.join(layout.roots[0], entry)
            pairs.update(_of_labels(folder, layout, images_dir))
    if not pairs:
        raise InputError(f"{layout.source}: {set_name or 'the folder'} holds no images")
    return pairs


def resolve(layout, set_name, entry):
    """Where the list or folder of a set lies, without the leading folders that are not there; None
    where it is not found.
    """
    parts = [part for part in entry.replace("\\", "/").split("/") if part not in ("", ".", "..")]
    tails = [_plain(entry), *("/".join(parts[start:]) for start in range(len(parts)))]
    if len(parts) > 1 and parts[-1].lower() == "images":
        del tails[-1]  # which could be the folder of all sets
    tails += [_with_synonym(tail) for tail in tails]  # Roboflow's val lies in valid
    paths = (os.path.join(root, tail) for tail in tails for root in layout.roots)
    found = next(filter(os.path.exists, paths), None)
    return found and os.path.normpath(found)


def _with_synonym(path):
    """A path with valid for val, and val for valid."""
    return "/".join(SYNONYMS.get(part, part) for part in path.split("/"))


def _of_list(path, layout, images_dir):
    """The pairs of a file that has the path of a picture a line."""
    roots = [os.path.dirname(path), *layout.roots]
    for name in filter(None, map(_plain, read_text(path).splitlines())):
        image = find_file(name, [images_dir] if images_dir else roots)
        places = [find_file(place, roots) for place in _label_places(name)]
        yield image, _existing([*places, *_label_places(image)])


def _plain(path):
    """A path without "./" at its beginning."""
    path = path.strip()
    return "" if path == "." else path.removeprefix("./")


def _of_labels(folder, layout, images_dir):
    """The pairs of label files in the folder that belongs to one of pictures, or in the root."""
    places = [*_swapped(folder), *(os.path.join(root, "labels") for root in layout.roots)]
    labels_dir = next(filter(os.path.isdir, places), layout.roots[0])
    pictures = pictures_by_stem([images_dir])
    for label in files_under(labels_dir, (".txt",)):
        if os.path.basename(label) not in NAME_FILES:
            yield pictures.get(stem(label)) or os.path.join(images_dir, f"{stem(label)}.jpg"), label


def _label_places(image):
    """Where the label file of a picture may lie: in labels for images, or beside it."""
    return _swapped(f"{os.path.splitext(image)[0]}.txt")


def _swapped(path):
    """A path with labels or annotations in the place of its last images, and the path itself."""
    parts = path.replace("\\", "/").split("/")
    places = [i for i, part in enumerate(parts) if part.lower() == "images"]
    swapped = []
    for name in ("labels", "annotations") if places else ():
        name = name.capitalize() if parts[places[-1]][0] == "I" else name
        swapped.append("/".join([*parts[: places[-1]], name, *parts[places[-1] + 1 :]]))
    return [*swapped, path]


def _existing(paths):
    return next(filter(os.path.isfile, paths), None)
