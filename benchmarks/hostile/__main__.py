"""python -m benchmarks.hostile [--kinds KIND ...] [--from N] [--to N] [--failures DIR]"""

from __future__ import annotations

import argparse
import contextlib
import shlex
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from . import commands, files
from .judge import judge, last_lines
from .runner import MEMORY, SECONDS, Result, Runner, Specimen, remove
from .specimens import KINDS, specimen


def parse_args(args: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.hostile",
        description="Run every command on hostile inputs, and judge each run. The exit status is 1 "
        "if a run breaks a rule.",
    )
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=[*KINDS], help="(all)")
    parser.add_argument("--from", dest="first", type=int, default=0, help="of each kind (0)")
    parser.add_argument("--to", type=int, help="of each kind, not included (all of it)")
    parser.add_argument("--failures", type=Path, metavar="DIR", help="write what failed there")
    parser.add_argument("--seconds", type=float, default=SECONDS, help="of a run (%(default)s)")
    parser.add_argument("--memory", type=int, default=MEMORY, help="bytes of a run (%(default)s)")
    parser.add_argument("--verbose", action="store_true", help="print every run")
    return parser.parse_args(args)


def save(folder: Path, made: Specimen, result: Result, faults: list[str]) -> None:
    """Write a specimen that failed, its command line and its output."""
    folder = folder / made.name.replace("/", "-")
    (folder / "in").mkdir(parents=True, exist_ok=True)
    files.write(made.files, folder / "in")
    report = [
        f"{made.name}: {made.recipe}: {', '.join(faults)}",
        f"{made.command} {shlex.join(made.argv)}",
        *(f"changed {path}" for path in result.changed),
        f"status {result.status}, {result.seconds:.1f} s, {result.memory / 1e6:.0f} MB",
        result.out[-2000:],
        result.err[:2000] + result.err[2000:][-4000:],
    ]
    text = "\n".join(report).encode("utf-8", "backslashreplace")
    (folder / "report.txt").write_bytes(text)


def main(args: list[str] | None = None) -> int:
    args = parse_args(args)
    runs, failed, ends, start = Counter(), Counter(), Counter(), time.monotonic()
    scratch = tempfile.mkdtemp(prefix="hostile-")
    with contextlib.ExitStack() as stack:
        stack.callback(remove, Path(scratch))
        runner = Runner(Path(scratch), args.seconds, args.memory)
        commands.use_models(runner.models)
        with contextlib.suppress(KeyboardInterrupt):  # the table is then of what was run
            for kind, index in numbers(args):
                made = specimen(kind, index)
                result = runner.run(made)
                faults = judge(made, result)
                runs[kind] += 1
                ends[kind, result.status] += 1
                failed[kind] += bool(faults)
                if faults or args.verbose:
                    print(line(made, result, faults), flush=True)
                if faults and args.failures:
                    save(args.failures, made, result, faults)
        runner.close()
    print(f"{'kind':10}{'runs':>6}{'failed':>8}{'status 0':>10}{'1':>6}{'2':>6}")
    for kind, count in runs.items():
        counts = [ends[kind, status] for status in (0, 1, 2)]
        print(f"{kind:10}{count:6}{failed[kind]:8}{counts[0]:10}{counts[1]:6}{counts[2]:6}")
    print(f"{runs.total()} runs, {failed.total()} failed, {time.monotonic() - start:.0f} s")
    return int(failed.total() > 0)


def numbers(args: argparse.Namespace) -> Iterator[tuple[str, int]]:
    """Yield (kind, number) of the specimens that are asked for."""
    for kind in args.kinds:
        last = KINDS[kind][1]
        yield from ((kind, n) for n in range(args.first, min(last, args.to or last)))


def line(made: Specimen, result: Result, faults: list[str]) -> str:
    """Return a line about a run, in ASCII."""
    words = f"{', '.join(faults) or 'right'} ({made.recipe})"
    took = f"{result.seconds:.1f} s, {result.memory / 1e6:.0f} MB"
    text = f"{made.name} {made.command}: {words}: {took}: {last_lines(result)}"
    return text.encode("ascii", "backslashreplace").decode()


if __name__ == "__main__":
    sys.exit(main())
