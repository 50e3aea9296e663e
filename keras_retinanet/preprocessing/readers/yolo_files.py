"""The files of a YOLO data set: a data.yaml, Darknet's obj.data, or folders and class names."""

import dataclasses
import os
from collections.abc import Iterator, Sequence
from typing import Any

from ...errors import InputError
from ...utils.text import listed, read_text
from .files import (
    PICTURES,
    files_under,
    find_file,
    first_file,
    first_folder,
    folders_in,
    holds,
    names_in,
    pictures_by_stem,
    stem,
    tails,
)
from .parsing import lines_of

NAME_FILES = ("obj.names", "classes.txt", "_darknet.labels", "names.txt", "labels.txt")
SYNONYMS = {"val": "valid", "valid": "val"}


@dataclasses.dataclass(frozen=True)
class Layout:
    """The class names, and the lists or image folders of each split, as they are written."""

    source: str  # the file or folder that says so
    roots: list[str]  # the folders that paths may start from
    names: list[str]
    sets: dict[str | None, list[str]]  # the key None, if the data set has no named splits
    keypoints: bool = False  # rows go on with them after the box


def find_layout(path: str | os.PathLike) -> Layout:
    """Return the `Layout` of a data.yaml, an obj.data or a folder."""
    path = str(path)
    if os.path.isfile(path):
        return _yaml_layout(path) if path.lower().endswith((".yaml", ".yml")) else _darknet(path)
    yamls, data = (names_in(path, suffixes) for suffixes in ((".yaml", ".yml"), (".data",)))
    usual = [name for name in ("data.yaml", "dataset.yaml") if name in yamls]
    if usual or len(yamls) == 1:
        return _yaml_layout(os.path.join(path, (usual or yamls)[0]))
    return _darknet(os.path.join(path, data[0])) if data else _folders(path)


def _yaml_layout(path: str) -> Layout:
    import yaml

    text = read_text(path)
    try:
        content = yaml.safe_load(text)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        place = f": line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        raise InputError(f"{path}{place}: malformed YAML: {error.problem}.") from None
    except (yaml.YAMLError, RecursionError, ValueError) as error:  # ValueError: 30 February
        reason = str(error).partition("\n")[0]
        raise InputError(f"{path}: malformed YAML: {reason}.") from None
    if not isinstance(content, dict) or "names" not in content:
        raise InputError(f"{path}: expected the keys names, train and val.")
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


def _names(names: Any, path: str) -> list[str]:
    """Return the class names of a list, or of a dict {0: name, 1: name, ...}, as texts."""
    where = f"{path}: names"
    if isinstance(names, dict):
        if set(names) != set(range(len(names))):
            expected = f"expected the keys 0 to {len(names) - 1}"
            raise InputError(f"{where}: {expected}, got {listed(names)}.")
        names = [names[label] for label in range(len(names))]
    if not isinstance(names, list) or not names:
        raise InputError(f"{where}: expected a list of class names, got {names!r}.")
    for name in names:
        if name is None or isinstance(name, list | dict):
            raise InputError(f"{where}: expected a class name, got {name!r}.")
    names = [str(name) for name in names]
    for i, name in enumerate(names):
        if name in names[:i]:
            raise InputError(f"{where}: class name twice: {name!r}.")
    return names


def _check_count(count: Any, names: Sequence[str], path: str) -> None:
    if str(count) != str(len(names)):
        raise InputError(f"{path}: expected {count} class names, got {len(names)}.")


def _names_in(path: str) -> list[str]:
    """Return the class names of a file that has one on each line."""
    names = lines_of(path)
    if not names:
        raise InputError(f"{path} holds no class names.")
    return _names(names, path)


def _darknet(path: str) -> Layout:
    """Return the layout of a file of rows `key = value`."""
    rows = (line.partition("=") for line in read_text(path).splitlines() if "=" in line)
    content = {key.strip(): value.strip() for key, _, value in rows}
    if "names" not in content:
        raise InputError(f"{path}: expected rows 'names = FILE' and 'train = FILE'.")
    folder = os.path.dirname(path)
    names = _names_in(find_file(content["names"], [folder]))
    _check_count(content.get("classes", len(names)), names, path)
    sets = {key: [content[key]] for key in ("train", "valid", "test") if content.get(key)}
    return Layout(path, [folder], names, sets)


def _folders(path: str) -> Layout:
    """Return the layout of a folder with a file of class names, and images in images or in its
    splits.
    """
    inner = folders_in(path)
    folders = [path, *(os.path.join(path, name) for name in inner)]
    source = first_file(os.path.join(folder, name) for folder in folders for name in NAME_FILES)
    if source is None:
        raise InputError(f"{path}: expected data.yaml, obj.data or one of {listed(NAME_FILES)}.")
    images = [name for name in inner if name.lower() == "images"]
    sets = {
        name: [os.path.join(folder, name)]
        for folder in images
        for name in folders_in(os.path.join(path, folder))
    }
    if not sets and not images:
        has_images = {
            name: any(holds(os.path.join(path, name, at), PICTURES) for at in ("", "images"))
            for name in inner
        }
        sets = {name: [name] for name in inner if has_images[name]}
    return Layout(source, [path], _names_in(source), sets or {None: images or ["."]})


def pictures_of(
    layout: Layout, set_name: str | None, images_dir: str | None = None
) -> dict[str, str | None]:
    """Return {image: its label file, or None} of a split.

    With `images_dir` the images of a folder are those that label files name.
    """
    pairs: dict[str, str | None] = {}
    for entry in layout.sets[set_name]:
        path = resolve(layout, set_name, entry)
        if path is None and images_dir is None:
            raise InputError(f"{layout.source}: {set_name}: no such folder or file: {entry!r}.")
        if path is not None and os.path.isfile(path):
            pairs.update(_of_list(path, layout, images_dir))
        elif images_dir is None:
            images = files_under(path, PICTURES)
            pairs.update((image, first_file(_label_places(image))) for image in images)
        else:
            folder = path or os.path.join(layout.roots[0], entry)
            pairs.update(_of_labels(folder, layout, images_dir))
    if not pairs:
        raise InputError(f"{layout.source}: {set_name or 'the folder'} holds no images.")
    return pairs


def resolve(layout: Layout, set_name: str | None, entry: str) -> str | None:
    """Return the path of a split's list or folder, without leading folders that are not there."""
    shorter = tails(entry)
    if len(shorter) > 1 and shorter[-1].lower() == "images":
        del shorter[-1]  # which could be the folder of all splits
    places = [_plain(entry), *shorter]
    places += [  # Roboflow's val lies in valid
        "/".join(SYNONYMS.get(part, part) for part in place.split("/")) for place in places
    ]
    paths = (os.path.join(root, place) for place in places for root in layout.roots)
    found = next(filter(os.path.exists, paths), None)
    return found and os.path.normpath(found)


def _plain(path: str) -> str:
    """Return a path without "./" at its beginning."""
    path = path.strip()
    return "" if path == "." else path.removeprefix("./")


def _of_list(path: str, layout: Layout, images_dir: str | None) -> Iterator[tuple[str, str | None]]:
    """Yield the pairs of a file that has the path of an image on each line."""
    roots = [os.path.dirname(path), *layout.roots]
    for name in filter(None, map(_plain, lines_of(path))):
        image = find_file(name, [images_dir] if images_dir else roots)
        places = [find_file(place, roots) for place in _label_places(name)]
        yield image, first_file([*places, *_label_places(image)])


def _of_labels(folder: str, layout: Layout, images_dir: str) -> Iterator[tuple[str, str]]:
    """Yield the pairs of label files in the folder beside one of images, or in the root."""
    places = [*_swapped(folder), *(os.path.join(root, "labels") for root in layout.roots)]
    pictures = pictures_by_stem([images_dir])
    for label in files_under(first_folder(places) or layout.roots[0], (".txt",)):
        if os.path.basename(label) not in NAME_FILES:
            yield pictures.get(stem(label)) or os.path.join(images_dir, f"{stem(label)}.jpg"), label


def _label_places(image: str) -> Sequence[str]:
    """Return the paths that an image's label file may have: in labels for images, or beside it."""
    return _swapped(f"{os.path.splitext(image)[0]}.txt")


def _swapped(path: str) -> list[str]:
    """Return a path with labels or annotations for its last folder images, and the path itself."""
    parts = path.replace("\\", "/").split("/")
    places = [i for i, part in enumerate(parts) if part.lower() == "images"]
    swapped = []
    for name in ("labels", "annotations") if places else ():
        name = name.capitalize() if parts[places[-1]][0] == "I" else name
        swapped.append("/".join([*parts[: places[-1]], name, *parts[places[-1] + 1 :]]))
    return [*swapped, path]
