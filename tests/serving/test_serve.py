"""The command `retinanet-serve`, run as its user runs it, with a real model."""

import contextlib
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from keras_retinanet.bin import serve as command

pytest.importorskip("uvicorn")


@contextlib.contextmanager
def running(*args):
    """Run the command on a free port until the end of the block, and yield (process, address)."""
    import socket

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    arguments = [sys.executable, "-m", "keras_retinanet.bin.serve", "--port", str(port), *args]
    process = subprocess.Popen(
        [str(each) for each in arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        yield process, f"http://127.0.0.1:{port}"
    finally:
        process.kill()
        process.communicate()


def get(address):
    """Return the status of an address, 0 while nothing answers."""
    try:
        with urllib.request.urlopen(address, timeout=5) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code
    except OSError:
        return 0


def wait_for(address, seconds=90):
    until = time.monotonic() + seconds
    while get(address) != 200:
        assert time.monotonic() < until
        time.sleep(0.2)


@pytest.mark.slow
def test_server_answers_survives_a_killed_process_and_ends_at_sigterm(detector, sample):
    import json

    image = (sample / "images" / "train" / "00000.jpg").read_bytes()
    with running(detector) as (process, address):

        def detect():
            request = urllib.request.Request(f"{address}/detect", image)
            with urllib.request.urlopen(request, timeout=60) as answer:
                return json.load(answer)["detections"]

        wait_for(f"{address}/readyz")
        before = detect()
        assert before
        os.kill(worker_of(process), signal.SIGKILL)
        assert detect() == before
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=30)
        assert "Traceback" not in out + err


def worker_of(process):
    """Return the id of the process that runs the server's model."""
    threads = Path(f"/proc/{process.pid}/task").iterdir()
    children = [pid for thread in threads for pid in (thread / "children").read_text().split()]
    [worker] = [pid for pid in children if "spawn_main" in Path(f"/proc/{pid}/cmdline").read_text()]
    return int(worker)


def test_what_cannot_be_served(refuse, tmp_path):
    assert "missing.onnx" in refuse(command.main, tmp_path / "missing.onnx")
    model = tmp_path / "a b.onnx"
    model.write_bytes(b"x")
    assert "NAME=" in refuse(command.main, model)
    assert "pets" in refuse(command.main, f"pets={model}", f"pets={model}")
    empty = tmp_path / "token"
    empty.write_text("\n")
    assert "token" in refuse(command.main, f"pets={model}", "--token-file", empty)


def test_missing_server_names_pip_command(refuse, tmp_path, monkeypatch):
    monkeypatch.setattr(command.importlib.util, "find_spec", lambda name: None)
    assert "pip install 'keras-retinanet[serve]'" in refuse(command.main, tmp_path)


@pytest.mark.parametrize(
    ("host", "expected"),
    [("127.0.0.1", True), ("::1", True), ("localhost", True), ("0.0.0.0", False), ("a.b", False)],
)
def test_loopback_addresses(host, expected):
    assert command.is_loopback(host) is expected
