"""Find damaged JPEG files that libjpeg still decodes, with parts garbled.

libjpeg reports damage only on standard error. So this file also runs as a program, and `damages`
reads its standard error.
"""

import os
import subprocess
import sys
from collections.abc import Sequence


def damages(paths: Sequence[str]) -> dict[str, str]:
    """Return {path: libjpeg's message} of the JPEG files among `paths` that are damaged."""
    from ..utils.threads import in_threads  # not in the program, which has no package

    paths = [path for path in paths if _is_jpeg(path)]
    jobs = min(os.cpu_count() or 1, -(-len(paths) // 50))  # starting a program is slow
    results = in_threads(_listen, [paths[job::jobs] for job in range(jobs)])
    return {path: said for result in results for path, said in result.items()}


def _is_jpeg(path: str) -> bool:
    with open(path, "rb") as file:
        return file.read(2) == b"\xff\xd8"


def _listen(paths: Sequence[str]) -> dict[str, str]:
    """Return the `damages` that one run of this file as a program reports."""
    program = subprocess.run(
        [sys.executable, "-P", __file__],
        input=os.fsencode("\0".join(paths)),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        check=False,  # an image that ends the program must not end the doctor
    )
    result = {}
    parts = os.fsdecode(program.stderr).split("\0")  # any text, path, message, path, message, ...
    for path, said in zip(parts[1::2], parts[2::2], strict=False):
        lines = [line for line in said.splitlines() if "JPEG" in line]
        if lines:
            result[path] = lines[0]
    return result


def _speak() -> None:
    """Decode the files named on standard input; print each name to standard error first."""
    import cv2

    cv2.setNumThreads(1)
    for path in filter(None, os.fsdecode(sys.stdin.buffer.read()).split("\0")):
        sys.stderr.buffer.write(b"\0" + os.fsencode(path) + b"\0")
        sys.stderr.buffer.flush()
        cv2.imread(path, cv2.IMREAD_REDUCED_GRAYSCALE_8)  # fast, and reads all of the data


if __name__ == "__main__":
    _speak()
