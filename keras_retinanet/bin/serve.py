"""Serve detectors over HTTP: `retinanet-serve MODEL...`."""

from __future__ import annotations

import argparse
import importlib.util
import ipaddress
import os
import sys
from collections.abc import Sequence

from ..errors import InputError
from .arguments import add_engine_options, number
from .cli import user_errors

PACKAGES = ("fastapi", "uvicorn", "multipart", "prometheus_client")
TOKEN = "RETINANET_TOKEN"  # an environment variable


def parse_args(args: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="retinanet-serve",
        usage="%(prog)s [options] MODEL...",
        description="Serve detectors over HTTP: POST /detect, TensorFlow Serving's REST interface, "
        "and a page at /.",
    )
    parser.add_argument(
        "models",
        metavar="MODEL",
        nargs="+",
        help="model file, or folder of versions 1/, 2/, ...; NAME=MODEL names it",
    )
    parser.add_argument("--host", default="127.0.0.1", help="address (%(default)s)")
    parser.add_argument(
        "--port", type=number(int, "from 0 to 65535"), default=8501, help="port (%(default)s)"
    )
    parser.add_argument(
        "--token-file",
        metavar="FILE",
        help=f"file with the bearer token that requests need (the value of {TOKEN}, or none)",
    )
    running = parser.add_argument_group("models")
    running.add_argument(
        "--batch-size",
        type=number(int, "from 1 to 1024"),
        default=8,
        metavar="N",
        help="maximum number of images in a batch (%(default)s)",
    )
    running.add_argument(
        "--batch-wait",
        type=number(float, "from 0 to 1000"),
        default=5.0,
        metavar="MS",
        help="ms that an image waits for its batch to fill (%(default)s)",
    )
    running.add_argument(
        "--workers",
        type=number(int, "from 1 to 64"),
        default=1,
        metavar="N",
        help="processes for each model (%(default)s)",
    )
    running.add_argument(
        "--versions",
        type=number(int, "from 1 to 100"),
        default=1,
        metavar="N",
        help="number of newest versions in a folder to serve (%(default)s)",
    )
    running.add_argument(
        "--watch",
        type=number(float, "from 1 to 86400"),
        metavar="SECONDS",
        help="look for new versions this often (only at POST /reload)",
    )
    add_engine_options(running)
    limits = parser.add_argument_group("limits")
    for flag, kind, within, default, text in (
        ("--max-megabytes", float, "between 0 and 2000", 32.0, "maximum MB of a request"),
        ("--max-megapixels", float, "between 0 and 2000", 50.0, "maximum megapixels of an image"),
        ("--max-images", int, "from 1 to 1024", 32, "maximum images in a request"),
        ("--timeout", float, "between 0 and 3600", 30.0, "maximum seconds for an answer"),
        ("--queue", int, "from 1 to 100000", 64, "maximum images that wait for a model"),
    ):
        limits.add_argument(
            flag,
            type=number(kind, within),
            default=default,
            metavar="N" if kind is int else "X",
            help=f"{text} (%(default)s)",
        )
    return parser.parse_args(args)


def run(args: argparse.Namespace) -> None:
    missing = [name for name in PACKAGES if importlib.util.find_spec(name) is None]
    if missing:
        raise InputError("The server is not installed; run pip install 'keras-retinanet[serve]'.")
    import uvicorn

    from ..serving.app import Settings, create_app
    from ..serving.limits import Limits
    from ..serving.models import Models, Running, named_paths

    limits = Limits(
        args.max_megabytes, args.max_megapixels, args.max_images, args.timeout, args.queue
    )
    settings = {"engine": args.engine, "precision": args.precision, "threads": args.threads}
    running = Running(args.batch_size, args.batch_wait / 1000, args.queue, args.workers, settings)
    models = Models(named_paths(args.models), running, args.versions)
    token = read_token(args.token_file)
    if token is None and not is_loopback(args.host):
        print(
            f"warning: anyone who reaches {args.host} can use this server; set {TOKEN} or "
            "--token-file.",
            file=sys.stderr,
        )
    app = create_app(models, Settings(limits, token, args.watch))
    print(f"serving {', '.join(models.served)} at http://{args.host}:{args.port}", flush=True)
    uvicorn.run(
        app,
        host=args.host,
        port=args.port,
        log_level="warning",
        server_header=False,
        timeout_graceful_shutdown=int(args.timeout) + 1,
        limit_concurrency=2000,
        timeout_keep_alive=30,
    )


def read_token(path: str | None) -> str | None:
    """Return the token in a file, or in the environment if `path` is None; None without a token.

    Raises:
        InputError: the file cannot be read or has no token.
    """
    if path is None:
        return os.environ.get(TOKEN) or None
    from ..utils.text import read_text

    token = read_text(path).strip()
    if not token:
        raise InputError(f"{path} is empty; write the token into it.")
    return token


def is_loopback(host: str) -> bool:
    """Return True if only this machine reaches an address."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def main(args: Sequence[str] | None = None) -> None:
    with user_errors("retinanet-serve"):
        run(parse_args(sys.argv[1:] if args is None else args))


if __name__ == "__main__":
    main()
