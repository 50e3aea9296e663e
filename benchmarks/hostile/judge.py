"""The verdict on a run: the rules that every command keeps with any input."""

from __future__ import annotations

import re
import unicodedata

from .runner import Result, Specimen

LONGEST = 2_000  # characters of a message
PLAIN = "\n\r"  # a progress bar returns
FINDS = ("doctor",)  # commands whose exit status 1 says that something was found
LIMITS = {"time": "time limit", "memory": "memory limit", "output": "endless output"}


def judge(specimen: Specimen, result: Result) -> list[str]:
    """Return the rules that a run has broken, [] if it was right."""
    text = result.out + result.err
    faults = [LIMITS[result.stopped]] if result.stopped else []
    if not result.stopped and result.status not in _allowed(specimen):
        faults.append(f"exit status {result.status}")
    if "Traceback (most recent call last)" in text or "Exception ignored" in text:
        faults.append("traceback")
    if result.status == 2 and not re.search(r"error: .", result.err):
        faults.append("no error message")
    if result.status == 2 and "\n" in result.err.rpartition("error: ")[2].strip():
        faults.append("error of several lines")
    if any(len(line) > LONGEST for line in text.splitlines()):
        faults.append("long message")
    if any(unicodedata.category(c) == "Cc" and c not in PLAIN for c in set(text)):
        faults.append("control characters")
    if result.changed:
        faults.append("changed other files")
    return faults


def _allowed(specimen: Specimen) -> tuple[int, ...]:
    return (0, 1, 2) if specimen.command in FINDS else (0, 2)


def last_lines(result: Result) -> str:
    """Return where a traceback ended, or the end of the error output."""
    places = re.findall(r'File ".*?(keras_retinanet/[\w/]+\.py)", line (\d+)', result.err)
    lines = result.err.strip().splitlines() or [""]
    at = ":".join(places[-1]) if places and "Traceback" in result.err else ""
    return f"{at} {lines[-1][:200]}".strip()
