"""Mutations of the bytes of a file, by its format; each is a function (data, rng) -> data."""

from __future__ import annotations

import copy
import json
import re
import struct
import xml.etree.ElementTree as ElementTree
import zlib
from collections.abc import Callable
from random import Random
from typing import Any

from . import values

Mutation = Callable[[bytes, Random], bytes]
CHUNKS = (b"\0" * 64, b"\xff" * 64, b"\x80\x02", b"A" * values.LONG, b"\n" * 500, b'"', b"<", b"[")


# of any file


def truncate(data: bytes, rng: Random) -> bytes:
    return data[: rng.randrange(len(data) + 1)]


def flip(data: bytes, rng: Random) -> bytes:
    """Change 1 to 8 bytes."""
    changed = bytearray(data)
    for _ in range(rng.randint(1, 8) if data else 0):
        changed[rng.randrange(len(data))] = rng.randrange(256)
    return bytes(changed)


def insert(data: bytes, rng: Random) -> bytes:
    at = rng.randrange(len(data) + 1)
    return data[:at] + rng.choice(CHUNKS) + data[at:]


def duplicate(data: bytes, rng: Random) -> bytes:
    start, end = sorted(rng.randrange(len(data) + 1) for _ in range(2))
    return data[:end] + data[start:end] * rng.choice((1, 1, 20)) + data[end:]


def remove(data: bytes, rng: Random) -> bytes:
    start, end = sorted(rng.randrange(len(data) + 1) for _ in range(2))
    return data[:start] + data[end:]


def number(data: bytes, rng: Random) -> bytes:
    """Replace 2, 4 or 8 bytes, perhaps a length, by an extreme number."""
    size = rng.choice((2, 4, 8))
    limits = (0, 1, 2 ** (8 * size - 1) - 1, 2 ** (8 * size - 1), 2 ** (8 * size) - 1)
    value = rng.choice(limits).to_bytes(size, rng.choice(("little", "big")))
    at = rng.randrange(max(1, len(data) - size))
    return data[:at] + value + data[at + size :]


# of text


def token(data: bytes, rng: Random) -> bytes:
    """Replace a word or number by an extreme value."""
    found = list(re.finditer(rb"[\w.-]+", data))
    if not found:
        return insert(data, rng)
    at = rng.choice(found)
    value = rng.choice((*values.TEXTS, *values.NUMBERS)).encode("utf-8", "surrogatepass")
    return data[: at.start()] + value + data[at.end() :]


def line(data: bytes, rng: Random) -> bytes:
    """Repeat, drop, cut or quote a line."""
    lines = data.splitlines(keepends=True) or [b""]
    at = rng.randrange(len(lines))
    changes = (lines[at] * 3, b"", lines[at][: len(lines[at]) // 2], b'"' + lines[at], b",,,,,,\n")
    lines[at] = rng.choice(changes)
    return b"".join(lines)


def encoding(data: bytes, rng: Random) -> bytes:
    """Write the text in another encoding, or with a byte order mark."""
    text = data.decode("utf-8", "replace")
    names = ("utf-16", "utf-32", "utf-8-sig", "utf-7", "cp037")
    return text.encode(rng.choice(names), "replace")


# of JSON and YAML


def _tree(data: bytes, rng: Random, raw: tuple[str, ...]) -> bytes:
    """Change a value of a JSON tree: put an extreme value in its place, drop it or repeat it."""
    try:
        tree = json.loads(data)
    except (ValueError, RecursionError):
        return token(data, rng)
    if not isinstance(tree, dict | list):  # as fuzzing may leave it
        return token(data, rng)
    places: list[tuple[Any, Any]] = []
    _walk(tree, places)
    if not places:
        return token(data, rng)
    holder, key = rng.choice(places)
    how = rng.choice(("raw", "raw", "text", "number", "drop", "repeat", "rename"))
    fill = ""
    if how == "drop":
        del holder[key]
    elif how == "repeat":
        if isinstance(holder, list):
            holder.insert(key, holder[key])
        else:
            fill = f"{json.dumps(holder[key])}, {json.dumps(key)}: {json.dumps(holder[key])}"
            holder[key] = MARK
    elif how == "rename" and isinstance(holder, dict):
        holder[rng.choice(values.TEXTS)] = holder.pop(key)
    elif how == "text":
        holder[key] = rng.choice(values.TEXTS)
    else:
        fill = rng.choice(values.NUMBERS if how == "number" else raw)
        holder[key] = MARK
    text = json.dumps(tree, ensure_ascii=rng.random() < 0.8)
    return text.replace(f'"{MARK}"', fill).encode("utf-8", "surrogatepass")


MARK = "@@value@@"


def _walk(node: Any, places: list[tuple[Any, Any]]) -> None:
    """List (holder, key) of every value below a node."""
    items = node.items() if isinstance(node, dict) else enumerate(node)
    for key, value in list(items):
        places.append((node, key))
        if isinstance(value, dict | list):
            _walk(value, places)


def json_value(data: bytes, rng: Random) -> bytes:
    return _tree(data, rng, values.JSON)


def yaml_value(data: bytes, rng: Random) -> bytes:
    """Change a value of a file of YAML that is written as JSON."""
    return _tree(data, rng, values.YAML)


# of XML


def element(data: bytes, rng: Random) -> bytes:
    """Change, drop, repeat or nest an element, or one of its attributes."""
    try:
        root = ElementTree.fromstring(data)
    except (ElementTree.ParseError, ValueError, LookupError):
        return token(data, rng)
    parents = [(parent, child) for parent in root.iter() for child in parent]
    if not parents:
        return token(data, rng)
    parent, child = rng.choice(parents)
    how = rng.choice(("text", "text", "attribute", "drop", "repeat", "nest", "tag"))
    value = rng.choice((*values.TEXTS, *values.NUMBERS))
    value = re.sub(r"[\0\ud800\x1b\r]", "?", value)  # that XML cannot hold; `token` writes them
    if how == "attribute" and child.attrib:
        child.set(rng.choice(sorted(child.attrib)), value)
    elif how == "drop":
        parent.remove(child)
    elif how == "repeat":
        parent.extend([child] * rng.choice((1, 50)))
    elif how == "nest":
        child.append(copy.deepcopy(child))
    elif how == "tag":
        child.tag = rng.choice(("x", "object", "image", "track", "box"))
    else:
        child.text = value
    return ElementTree.tostring(root)


def entities(data: bytes, rng: Random) -> bytes:
    """Declare entities and use one."""
    used = re.sub(rb">[^<>&]+<", b">&a8;<", data, count=rng.choice((0, 1)))
    return rng.choice(values.ENTITIES).encode() + used


# of PNG


def png_chunk(data: bytes, rng: Random) -> bytes:
    """Drop or repeat a chunk of a PNG file, or change its numbers, with a right checksum."""
    chunks, at = [], 8
    while at + 8 <= len(data):
        size = struct.unpack(">I", data[at : at + 4])[0]
        chunks.append((data[at + 4 : at + 8], data[at + 8 : at + 8 + size]))
        at += size + 12
    if not chunks:
        return flip(data, rng)
    at = rng.randrange(len(chunks))
    name, body = chunks[at]
    changes = ([], [chunks[at]] * 3, [(name, number(body, rng))], [(name, b"")])
    chunks[at : at + 1] = rng.choice(changes)
    return data[:8] + b"".join(map(_chunk, chunks))


def _chunk(chunk: tuple[bytes, bytes]) -> bytes:
    name, body = chunk
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


ANY: tuple[Mutation, ...] = (truncate, flip, insert, duplicate, remove, number)
TEXT: tuple[Mutation, ...] = (*ANY[:5], token, token, token, line, encoding)
BY_SUFFIX: dict[str, tuple[Mutation, ...]] = {
    ".json": (*TEXT, *[json_value] * 20),
    ".yaml": (*TEXT, *[yaml_value] * 20),
    ".xml": (*TEXT, *[element] * 15, entities),
    ".csv": (*TEXT, *[token] * 5, line, line),
    ".txt": (*TEXT, *[token] * 5, line, line),
    ".png": (*ANY, png_chunk, png_chunk),
}


def mutate(name: str, data: bytes, rng: Random) -> tuple[str, bytes]:
    """Return (the mutation's name, the data) of one mutation that fits the file's suffix."""
    suffix = name[name.rfind(".") :]
    mutation = rng.choice(BY_SUFFIX.get(suffix, ANY))
    return mutation.__name__, mutation(data, rng)
