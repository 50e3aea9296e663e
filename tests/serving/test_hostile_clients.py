"""Clients that are slow, vanish, come by the thousand or send nonsense; the server goes on."""

import contextlib
import io
import json
import resource
import socket
import threading
import time
import urllib.request
import zlib

import pytest

from keras_retinanet.serving.limits import Limits

uvicorn = pytest.importorskip("uvicorn")


@pytest.fixture
def listening(make_app):
    """The port of a server on a real socket, which gives bodies a second to arrive."""
    app = make_app(limits=Limits(seconds=1, megabytes=1))
    config = uvicorn.Config(
        app, port=0, log_config=None, access_log=False, limit_concurrency=2000, backlog=2048
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    wait_until_ready(port)
    yield port
    server.should_exit = True
    thread.join(30)


def wait_until_ready(port):
    while True:
        with contextlib.suppress(OSError):
            if urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=5).status == 200:
                return
        time.sleep(0.02)


def detects(port, image):
    """Return True if the server detects in an image."""
    request = urllib.request.Request(f"http://127.0.0.1:{port}/detect", image)
    with urllib.request.urlopen(request, timeout=20) as answer:
        return len(json.load(answer)["detections"]) == 1


def connect(port):
    return socket.create_connection(("127.0.0.1", port), timeout=20)


def head(length, path="/detect", kind="image/png"):
    return (
        f"POST {path} HTTP/1.1\r\nHost: a\r\nContent-Type: {kind}\r\n"
        f"Content-Length: {length}\r\n\r\n"
    ).encode()


def answer(client):
    """Return what the server sends until it closes the connection or has no more to say."""
    client.settimeout(5)
    received = b""
    with contextlib.suppress(TimeoutError, ConnectionError):
        while part := client.recv(65536):
            received += part
            if b"\r\n\r\n" in received and received.endswith(b"}"):
                break
    return received


def test_body_that_does_not_arrive_is_refused(listening, image):
    with connect(listening) as client:
        client.sendall(head(len(image)) + image[:10])
        received = answer(client)
    assert b" 408 " in received.splitlines()[0]
    assert b"took more than 1 s" in received
    assert detects(listening, image)


def test_bytes_one_at_a_time_do_not_renew_the_time(listening, image):
    start = time.monotonic()
    with connect(listening) as client, contextlib.suppress(ConnectionError):
        client.sendall(head(10_000))
        while time.monotonic() < start + 3:
            client.sendall(b"x")
            time.sleep(0.1)
        assert b" 408 " in answer(client)
    assert detects(listening, image)


def test_half_closed_connection_is_answered_or_dropped(listening, image):
    with connect(listening) as client:
        client.sendall(head(len(image)) + image)
        client.shutdown(socket.SHUT_WR)
        received = answer(client)
    assert received == b"" or b" 200 " in received.splitlines()[0]
    assert detects(listening, image)


def test_clients_that_vanish_leave_nothing(listening, image, caplog):
    for cut in (5, len(head(9)), len(head(9)) + 20, None):
        for _ in range(10):
            with connect(listening) as client:
                client.sendall((head(len(image)) + image)[:cut])
    assert detects(listening, image)
    assert "Traceback" not in caplog.text
    metrics = urllib.request.urlopen(f"http://127.0.0.1:{listening}/metrics", timeout=5).read()
    assert b'status="499"' in metrics


@pytest.mark.slow
def test_thousand_connections_that_say_nothing(listening, image):
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(limit[0], min(4096, limit[1])), limit[1]))
    with contextlib.ExitStack() as stack:
        for _ in range(1000):
            stack.enter_context(connect(listening))
        assert detects(listening, image)
    assert detects(listening, image)


def bomb():
    """Return a PNG of 60,000 x 60,000 px in a few kB."""

    def chunk(kind, data):
        check = zlib.crc32(kind + data).to_bytes(4, "big")
        return len(data).to_bytes(4, "big") + kind + data + check

    side = (60_000).to_bytes(4, "big")
    header = chunk(b"IHDR", side + side + bytes([8, 2, 0, 0, 0]))
    data = chunk(b"IDAT", zlib.compress(bytes(1_000_000)))
    return b"\x89PNG\r\n\x1a\n" + header + data + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    ("path", "kind", "body", "status"),
    [
        ("/detect", "image/png", bomb(), 413),
        ("/detect", "image/png", bytes(1_000_001), 413),
        ("/detect", "multipart/form-data", b"--x", 400),
        ("/detect", "multipart/form-data; boundary=x", b"--x\r\n\r\n", 400),
        ("/detect", "multipart/form-data; boundary=" + "x" * 5000, b"--x", 400),
        ("/v1/models/pets:predict", "application/json", b"[" * 500_000, 400),
        ("/v1/models/pets:predict", "application/json", b'{"instances": [NaN', 400),
    ],
    ids=["bomb", "large", "no boundary", "no parts", "long boundary", "deep", "cut"],
)
def test_nonsense_gets_one_sentence(listening, image, path, kind, body, status):
    with connect(listening) as client:
        with contextlib.suppress(ConnectionError):
            client.sendall(head(len(body), path, kind) + body)
        received = answer(client)
    first, _, rest = received.partition(b"\r\n\r\n")
    assert f" {status} ".encode() in first.splitlines()[0]
    [sentence] = json.load(io.BytesIO(rest)).values()
    assert isinstance(sentence, str)
    assert "Traceback" not in sentence
    assert detects(listening, image)
