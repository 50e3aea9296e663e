"""The files of a YOLO data set: a data.yaml, Darknet's obj.data, or folders and class names."""

import dataclasses
import os
from collections.abc import Iterator, Sequence
from typing import Any
from urllib.parse import quote

from ...errors import InputError
from ...utils.text import listed, quoted, read_text
from .files import (
    IMAGE_SUFFIXES,
    files_under,
    find_file,
    first_file,
    first_folder,
    folders_in,
    holds,
    images_by_stem,
    is_shortened,
    names_in,
    stem,
    tails,
)
from .parsing import integer, lines_of, read_yaml

NAME_FILES = ("obj.names", "classes.txt", "_darknet.labels", "names.txt", "labels.txt")
NOTHING = ("", "null", "~")  # of YAML
SYNONYMS = {"val": "valid", "valid": "val"}


@dataclasses.dataclass(frozen=True)
class Layout:
    """The class names, and the lists or image folders of each split, as written."""

    source: str  # the file or folder that states them
    roots: list[str]  # the folders that paths may start from
    names: list[str]
    names_file: str
    splits: dict[str | None, list[str]]  # the key is None if the data set has no named splits
    keypoints: bool = False  # rows have keypoints after the box


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
    content = read_yaml(path)
    if not isinstance(content, dict) or "names" not in content:
        raise InputError(f"{path} lacks the key names; add the class names.")
    names = _names(content["names"], path)
    _check_count(content.get("nc"), names, path)
    splits = {}
    for key in ("train", "val", "valid", "test"):
        entries = content.get(key) or []
        entries = entries if isinstance(entries, list) else [entries]
        for entry in entries:
            if not isinstance(entry, str):
                raise InputError(f"{path}: {key}: expected a path, got {quoted(entry)}.")
        if any(entry.lower() not in NOTHING for entry in entries):
            splits[key] = entries
    folder, at = os.path.dirname(path), content.get("path", "")
    if not isinstance(at, str):
        raise InputError(f"{path}: path: expected a folder, got {quoted(at)}.")
    root = os.path.join(folder, "" if at.lower() in NOTHING else os.path.expanduser(at))
    roots = [root, folder] if os.path.isdir(root) else [folder]
    return Layout(path, roots, names, path, splits, keypoints="kpt_shape" in content)


def _names(names: Any, path: str) -> list[str]:
    """Return the class names of a list, or of a dict {"0": name, "1": name, ...}."""
    where = f"{path}: names"
    if isinstance(names, dict):
        if set(names) != set(map(str, range(len(names)))):
            expected = f"expected the keys 0 to {len(names) - 1}"
            raise InputError(f"{where}: {expected}, got {listed(names)}.")
        names = [names[str(label)] for label in range(len(names))]
    if not isinstance(names, list) or not names:
        raise InputError(f"{where}: expected a list of class names, got {quoted(names)}.")
    seen = set()
    for name in names:
        if not isinstance(name, str) or not name.strip():
            raise InputError(f"{where}: expected a class name, got {quoted(name)}.")
        if name in seen:
            raise InputError(f"{where}: class name twice: {quoted(name)}; rename one.")
        seen.add(name)
    return names


def _check_count(count: Any, names: Sequence[str], path: str) -> None:
    count = len(names) if count is None else integer(count, "number of classes", path)
    if count != len(names):
        raise InputError(f"{path} states {count} classes, but has {len(names)} names; correct one.")


def _names_in(path: str) -> list[str]:
    names = lines_of(path)
    if not names:
        raise InputError(f"{path} holds no class names.")
    return _names(names, path)


def _darknet(path: str) -> Layout:
    """Return the layout of a file of rows `key = value`."""
    rows = (line.partition("=") for line in read_text(path).splitlines() if "=" in line)
    content = {key.strip(): value.strip() for key, _, value in rows}
    if "names" not in content:
        raise InputError(f"{path} lacks the row 'names = FILE'; add it.")
    folder = os.path.dirname(path)
    names_file = find_file(content["names"], [folder])
    names = _names_in(names_file)
    _check_count(content.get("classes"), names, path)
    splits = {key: [content[key]] for key in ("train", "valid", "test") if content.get(key)}
    return Layout(path, [folder], names, names_file, splits)


def _folders(path: str) -> Layout:
    """Return the layout of a folder with a file of class names, and the images in a folder images
    or in folders of splits.
    """
    inner = folders_in(path)
    folders = [path, *(os.path.join(path, name) for name in inner)]
    source = first_file(os.path.join(folder, name) for folder in folders for name in NAME_FILES)
    if source is None:
        raise InputError(
            f"{path} lacks data.yaml, obj.data or one of {listed(NAME_FILES)}; add it."
        )
    images = [name for name in inner if name.lower() == "images"]
    splits = {
        name: [os.path.join(folder, name)]
        for folder in images
        for name in folders_in(os.path.join(path, folder))
    }
    if not splits and not images:
        has_images = {
            name: any(holds(os.path.join(path, name, at), IMAGE_SUFFIXES) for at in ("", "images"))
            for name in inner
        }
        splits = {name: [name] for name in inner if has_images[name]}
    return Layout(source, [path], _names_in(source), source, splits or {None: images or ["."]})


def images_of(
    layout: Layout, split: str | None, images_dir: str | None = None
) -> dict[tuple[str, str], str | None]:
    """Return {(image, its name in a list): its label file, or None} of a split.

    With `images_dir`, a folder has the images that have a label file.
    """
    pairs: dict[tuple[str, str], str | None] = {}
    for entry in layout.splits[split]:
        path = resolve(layout, split, entry)
        if path is None and images_dir is None:
            where = f"{layout.source}: {split}"
            raise InputError(f"{where}: no such folder or file: {quoted(entry)}.")
        if path is not None and os.path.isfile(path):
            pairs.update(_of_list(path, layout, images_dir))
        elif images_dir is None:
            images = files_under(path, IMAGE_SUFFIXES)
            pairs.update(((image, ""), first_file(_label_places(image))) for image in images)
        else:
            folder = path or os.path.join(layout.roots[0], entry)
            pairs.update(_of_labels(folder, layout, images_dir))
    if not pairs:
        raise InputError(f"{layout.source}: {split or 'the folder'} holds no images.")
    return pairs


def resolve(layout: Layout, split: str | None, entry: str) -> str | None:
    """Return the path of a split's list or folder, without leading folders that do not exist."""
    shorter = tails(entry)
    if len(shorter) > 1 and shorter[-1].lower() == "images":
        del shorter[-1]  # which could be the folder of all splits
    places = [_plain(entry), *shorter]
    places += [  # Roboflow's val is in valid
        "/".join(SYNONYMS.get(part, part) for part in place.split("/")) for place in places
    ]
    paths = (os.path.join(root, place) for place in places for root in layout.roots)
    found = next(filter(os.path.exists, paths), None)
    return found and os.path.normpath(found)


def _plain(path: str) -> str:
    path = path.strip()
    return "" if path == "." else path.removeprefix("./")


def _of_list(
    path: str, layout: Layout, images_dir: str | None
) -> Iterator[tuple[tuple[str, str], str | None]]:
    """Yield the pairs of a file that has the path of an image on each line."""
    roots = [os.path.dirname(path), *layout.roots]
    for name in filter(None, map(_plain, lines_of(path))):
        image = find_file(name, [images_dir] if images_dir else roots)
        places = [find_file(place, roots) for place in _label_places(name)]
        key = image, name if is_shortened(image, name) else ""
        yield key, first_file([*places, *_label_places(image)])


def _of_labels(
    folder: str, layout: Layout, images_dir: str
) -> Iterator[tuple[tuple[str, str], str]]:
    """Yield the pairs of the label files in the folder beside an image folder, or in the root."""
    places = [*_swapped(folder), *(os.path.join(root, "labels") for root in layout.roots)]
    found_images = images_by_stem([images_dir])
    for label in files_under(first_folder(places) or layout.roots[0], (".txt",)):
        if os.path.basename(label) not in NAME_FILES:
            image = found_images.get(stem(label)) or os.path.join(images_dir, f"{stem(label)}.jpg")
            yield (image, ""), label


def _label_places(image: str) -> Sequence[str]:
    """Return the possible paths of an image's label file: with "labels" in place of "images", or
    beside the image, and with "%20" for a space, as Label Studio writes it.
    """
    folder, name = os.path.split(f"{os.path.splitext(image)[0]}.txt")
    names = dict.fromkeys([name, quote(name, safe="()", errors="replace")])
    return [place for each in names for place in _swapped(os.path.join(folder, each))]


def _swapped(path: str) -> list[str]:
    """Return a path with its last folder "images" replaced by labels and by annotations, and the
    path itself.
    """
    parts = path.replace("\\", "/").split("/")
    places = [i for i, part in enumerate(parts) if part.lower() == "images"]
    swapped = []
    for name in ("labels", "annotations") if places else ():
        name = name.capitalize() if parts[places[-1]][0] == "I" else name
        swapped.append("/".join([*parts[: places[-1]], name, *parts[places[-1] + 1 :]]))
    return [*swapped, path]
