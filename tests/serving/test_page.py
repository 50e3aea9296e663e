"""The page in headless Chromium: what a person sees and does."""

import base64
import contextlib
import json
import shutil
import socket
import subprocess
import threading
import time
import urllib.request

import pytest

from .conftest import encoded

uvicorn = pytest.importorskip("uvicorn")
client = pytest.importorskip("websockets.sync.client")

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed"),
]


def page_of(port):
    """Return the address of a browser's only page, once it answers."""
    until = time.monotonic() + 30
    while True:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/json") as answer:
                pages = json.load(answer)
        except OSError:
            assert time.monotonic() < until
            time.sleep(0.1)
            continue
        [page] = [page for page in pages if page["type"] == "page"]
        return page["webSocketDebuggerUrl"]


class Browser:
    """A page of headless Chromium, controlled by its DevTools protocol."""

    def __init__(self, socket):
        self.socket = socket
        self.number = 0

    def send(self, method, **params):
        self.number += 1
        self.socket.send(json.dumps({"id": self.number, "method": method, "params": params}))
        while (answer := json.loads(self.socket.recv(timeout=30))).get("id") != self.number:
            pass
        assert "error" not in answer, answer
        return answer["result"]

    def run(self, code):
        """Return the value of a JavaScript expression, awaited."""
        how = {"awaitPromise": True, "returnByValue": True}
        result = self.send("Runtime.evaluate", expression=code, **how)
        assert "exceptionDetails" not in result, result
        return result["result"].get("value")

    def wait(self, code):
        until = time.monotonic() + 20
        while not self.run(code):
            assert time.monotonic() < until, code
            time.sleep(0.05)

    def size(self, width, height):
        how = {"deviceScaleFactor": 1, "mobile": width < 500}
        self.send("Emulation.setDeviceMetricsOverride", width=width, height=height, **how)

    def screenshot(self, path):
        path.write_bytes(base64.b64decode(self.send("Page.captureScreenshot")["data"]))


def free_port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


@contextlib.contextmanager
def serving(app):
    """Serve an application for the block, and yield its address."""
    port = free_port()
    server = uvicorn.Server(uvicorn.Config(app, port=port, log_level="error"))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        yield f"http://127.0.0.1:{port}/"
    finally:
        server.should_exit = True
        thread.join()


@pytest.fixture
def browser(tmp_path):
    port = free_port()
    flags = ["--headless=new", "--no-sandbox", "--disable-gpu", f"--remote-debugging-port={port}"]
    folder = f"--user-data-dir={tmp_path / 'profile'}"
    process = subprocess.Popen([CHROMIUM, *flags, folder, "about:blank"], stderr=subprocess.DEVNULL)
    try:
        with client.connect(page_of(port), max_size=None) as socket:
            yield Browser(socket)
    finally:
        process.kill()
        process.wait()


@pytest.fixture
def page(browser, make_app):
    """The page of a server with two models, in a window of 1000 x 800 px."""
    with serving(make_app("pets", "birds")) as address:
        browser.size(1000, 800)
        browser.send("Page.navigate", url=address)
        browser.wait("typeof $ == 'function' && $('status').textContent == 'Ready.'")
        yield browser


def choose(page, size=(96, 64)):
    data = base64.b64encode(encoded(size)).decode()
    code = f"fetch('data:image/png;base64,{data}').then(r => r.blob())"
    page.run(f"{code}.then(b => add([new File([b], 'street.png', {{type: 'image/png'}})]))")
    page.wait("document.querySelectorAll('canvas').length > 0")


def labels(page):
    code = "[...document.querySelectorAll('canvas')].map(c => c.getAttribute('aria-label'))"
    return page.run(code)


def test_boxes_threshold_and_classes(page, tmp_path):
    choose(page)
    assert labels(page) == ["street.png: cat 0.90"]
    page.run("$('threshold').value = 0.2; $('threshold').oninput()")
    assert labels(page) == ["street.png: cat 0.90, dog 0.30"]
    page.run("document.querySelector('#classes input').click()")
    assert labels(page) == ["street.png: dog 0.30"]
    page.run("document.querySelector('#classes input').click()")
    page.screenshot(tmp_path / "wide.png")
    assert (tmp_path / "wide.png").stat().st_size > 5000


def test_two_models_side_by_side_and_phone_width(page, tmp_path):
    choose(page)
    page.run("$('second').value = 'birds'; $('second').onchange()")
    page.wait("document.querySelectorAll('canvas').length == 2")
    tops = page.run(
        "[...document.querySelectorAll('canvas')].map(c => c.getBoundingClientRect().top)"
    )
    assert tops[0] == tops[1]
    page.size(360, 740)
    assert page.run("document.documentElement.scrollWidth <= 360")
    page.screenshot(tmp_path / "phone.png")


def test_keyboard_reaches_all_controls(page):
    choose(page)
    reached = page.run(
        "[...document.querySelectorAll('button, select, input')]"
        ".filter(e => e.offsetParent && !e.disabled).every(e => e.tabIndex == 0)"
    )
    assert reached


def test_download_holds_what_is_shown(page):
    choose(page)
    page.run("window.saved = null; URL.createObjectURL = b => (window.saved = b, 'blob:x')")
    page.run("$('download').onclick()")
    [row] = json.loads(page.run("saved.text()"))
    assert (row["file_name"], row["model"]) == ("street.png", "pets")
    assert [each["name"] for each in row["detections"]] == ["cat"]


def test_page_loads_nothing_from_elsewhere(page):
    names = page.run("performance.getEntriesByType('resource').map(e => new URL(e.name).host)")
    assert set(names) <= {page.run("location.host")}


def test_what_is_no_image_is_said(page):
    page.run("add([new File(['text'], 'notes.txt', {type: 'text/plain'})])")
    page.wait("$('status').className == 'error'")
    assert "notes.txt" in page.run("$('status').textContent")
