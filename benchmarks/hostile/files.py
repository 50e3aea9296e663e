"""The files of a specimen: bytes, and what may lie in place of a file."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Node:
    """A path that is no regular file: "fifo", "folder", "loop", or "link" to a target."""

    kind: str
    target: str = ""

    def make(self, path: Path) -> None:
        if self.kind == "fifo":
            os.mkfifo(path)
        elif self.kind == "folder":
            path.mkdir()
        else:
            path.symlink_to(path.name if self.kind == "loop" else self.target)


NODES = {
    "fifo": Node("fifo"),
    "folder": Node("folder"),
    "loop": Node("loop"),
    "dangling": Node("link", "nowhere"),
    "endless": Node("link", "/dev/zero"),
    "closed": Node("link", "/proc/self/mem"),
}
Content = bytes | Node | Callable[[], bytes]  # the last for large files
Files = Mapping[str, Content]  # by path below a folder


def write(files: Files, folder: Path) -> None:
    """Write the files into a folder, and the folders that they need."""
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, Node):
            content.make(path)
        else:
            path.write_bytes(content() if callable(content) else content)


def tree(folder: Path) -> dict[str, tuple]:
    """Return {path: what tells if it was changed} of everything below a folder."""
    found = {}
    for base, folders, names in os.walk(folder):
        for name in [*folders, *names]:
            path = os.path.join(base, name)
            state = os.lstat(path)
            is_folder = os.path.isdir(path) and not os.path.islink(path)
            size = () if is_folder else (state.st_ino, state.st_size, state.st_mtime_ns)
            found[os.path.relpath(path, folder)] = (state.st_mode, *size)
    return found


def changes(before: dict, after: dict, outputs: Iterable[str]) -> list[str]:
    """Return the paths that were changed or removed, or made outside of the outputs."""
    changed = {path for path, state in before.items() if after.get(path) != state}
    made = after.keys() - before.keys()
    outside = {p for p in made if not any(f"{p}/".startswith(f"{o}/") for o in outputs)}
    return sorted(changed | outside)
