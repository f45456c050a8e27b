"""A session on tiny models, and the app itself, started once for all tests, with a browser in front of it."""

import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from gradio_client import Client
from playwright.sync_api import Browser, Page, sync_playwright

from hallulab.engine.core import Engine
from hallulab.engine.presets import load_preset
from hallulab.ui.session import Session

ROOT = Path(__file__).parents[2]
CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
# loopback is all the page may need; every other host fails to resolve
CHROMIUM_FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
]


@pytest.fixture(scope="session")
def session(tiny_preset) -> Session:
    return Session(Engine(load_preset(str(tiny_preset)), device="cpu"))


@pytest.fixture(scope="session")
def address(tmp_path_factory) -> Iterator[str]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = os.environ | {
        "GRADIO_SERVER_PORT": str(port),
        "HF_HUB_OFFLINE": "1",
        "TRANSFORMERS_OFFLINE": "1",
        "HALLULAB_HOME": str(tmp_path_factory.mktemp("home")),
    }
    environment.pop("GRADIO_SERVER_NAME", None)
    log = (tmp_path_factory.mktemp("log") / "app.log").open("w+")
    app = subprocess.Popen([sys.executable, "app.py"], cwd=ROOT, env=environment, stdout=log, stderr=log)
    url = f"http://127.0.0.1:{port}"
    try:
        for _ in range(240):
            if app.poll() is not None:
                break
            try:
                urllib.request.urlopen(url, timeout=2).read()
                break
            except OSError:
                time.sleep(0.5)
        log.seek(0)
        assert app.poll() is None, log.read()
        yield url
    finally:
        app.terminate()
        app.wait(20)
        log.seek(0)
        assert "Traceback" not in log.read()


@pytest.fixture(
    scope="module"
)  # its event loop would be in the way of the tests after the last that needs it
def browser() -> Iterator[Browser]:
    assert CHROMIUM, "the browser tests need chromium: apt-get install chromium"
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=CHROMIUM_FLAGS)
        yield chromium
        chromium.close()


@pytest.fixture(params=["light-1280", "dark-390"])
def page(browser, address, request) -> Iterator[Page]:
    scheme, width = request.param.split("-")
    context = browser.new_context(
        color_scheme=scheme, viewport={"width": int(width), "height": 900}, reduced_motion="reduce"
    )
    tab = context.new_page()
    elsewhere: list[str] = []
    tab.on("request", lambda sent: elsewhere.append(sent.url) if is_elsewhere(sent.url) else None)
    tab.goto(f"{address}/?__theme={scheme}")
    tab.look = request.param
    yield tab
    context.close()
    assert elsewhere == [], "the page asked other hosts"


@pytest.fixture(scope="session")
def client(address) -> Client:
    return Client(address, verbose=False)


def is_elsewhere(url: str) -> bool:
    return url.startswith(("http", "ws")) and not re.match(r"(http|ws)s?://127\.0\.0\.1[:/]", url)
