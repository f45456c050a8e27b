"""The app as a visitor meets it: started by `app.py`, driven in headless Chromium, with no Hub in reach."""

import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from gradio_client import Client
from gradio_client.exceptions import AppError
from playwright.sync_api import Locator, Page, expect, sync_playwright

ROOT = Path(__file__).parents[2]
CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
# loopback is all the page may need; every other host fails to resolve
CHROMIUM_FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
]
LOADED_MS = 60_000
"""long enough for the first use of a model on a busy machine"""
SCREENSHOTS = Path(os.environ.get("HALLULAB_SCREENSHOTS", ROOT / "runs" / "screenshots"))

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
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


@pytest.fixture(scope="module")
def browser():
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


one_look = pytest.mark.parametrize("page", ["light-1280"], indirect=True)


def is_elsewhere(url: str) -> bool:
    return url.startswith(("http", "ws")) and not re.match(r"(http|ws)s?://127\.0\.0\.1[:/]", url)


def shoot(page: Page, name: str) -> None:
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=SCREENSHOTS / f"{name}-{page.look}.png", full_page=True)


def fits_the_screen(page: Page) -> bool:
    return page.evaluate("document.documentElement.scrollWidth <= window.innerWidth + 1")


def question_box(page: Page) -> Locator:
    return page.get_by_role("textbox", name="Question", exact=True)


def prompt_box(page: Page) -> Locator:
    return page.get_by_role("textbox", name="Prompt", exact=True)


def pill(page: Page) -> Locator:
    """The verdict on the open tab."""
    return page.locator(".hl-pill:visible").first


def open_tab(page: Page, name: str) -> None:
    page.get_by_role("tab", name=name, exact=True).click()


def test_ask_answers_judges_and_decides_again(page):
    page.get_by_role("button", name="What is a good pet for a small flat?").click()
    expect(page.get_by_role("textbox", name="Possible answers")).to_have_value("a cat\na goldfish")
    page.get_by_role("button", name="Ask", exact=True).click()
    expect(pill(page)).to_contain_text(re.compile("allucination"), timeout=LOADED_MS)
    expect(page.locator(".hl-answer")).to_contain_text(re.compile("cat|goldfish", re.I))
    expect(page.locator(".hl-table:visible tbody tr")).to_have_count(2)
    expect(page.locator(".js-plotly-plot:visible")).to_have_count(1)
    shoot(page, "ask")
    assert fits_the_screen(page)
    threshold = page.locator(".hl-table:visible tbody td:nth-child(3)").first
    before = float(threshold.inner_text())
    page.get_by_label("number input for HDR mass: share of genuine answers inside").fill("0.6")
    page.keyboard.press("Enter")
    expect(threshold).not_to_have_text(f"{before:.2f}", timeout=20_000)
    assert float(threshold.inner_text()) > before  # less mass, a smaller region


@one_look
def test_a_spliced_answer_is_a_hallucination(page):
    page.get_by_role("button", name="What is a good pet for a small flat?").click()
    page.get_by_role("button", name="Judge my own answer").click()
    page.get_by_role("textbox", name="Answer to judge").fill(
        "A goldfish, because it purrs and naps indoors in winter."
    )
    page.get_by_role("button", name="Ask", exact=True).click()
    expect(pill(page)).to_have_text("✕ Hallucination", timeout=LOADED_MS)
    expect(page.locator(".js-plotly-plot:visible")).to_have_count(1)
    shoot(page, "ask-hallucination")


@one_look
def test_a_nonsense_question_gets_no_verdict_and_markup_stays_text(page):
    question_box(page).fill("Why is <img src=x onerror=alert(1)> heavier than Tuesday?")
    page.get_by_role("textbox", name="Possible answers").fill("<b>purple</b>\ngravity")
    page.get_by_role("button", name="Ask", exact=True).click()
    expect(pill(page)).to_have_text("? No verdict", timeout=LOADED_MS)
    expect(page.locator(".hl-card img, .hl-card b")).to_have_count(0)
    shoot(page, "ask-no-verdict")


def test_paint_frames_every_image_and_decides_again(page):
    open_tab(page, "Paint")
    page.get_by_role("button", name="a cute pet animal").click()
    expect(prompt_box(page)).to_have_value("a cute pet animal")
    page.get_by_role("button", name="Paint", exact=True).click()
    expect(pill(page)).to_contain_text("of 16 images", timeout=LOADED_MS)
    thumbnails = page.locator("#paint-gallery .gallery-item")
    expect(thumbnails).to_have_count(16)
    framed = thumbnails.locator(".thumbnail-item")
    assert framed.evaluate_all("all => all.every(one => getComputedStyle(one).outlineStyle === 'solid')")
    expect(page.get_by_text("Hallucination rate")).to_be_visible()
    page.wait_for_timeout(1500)  # let the pictures arrive
    shoot(page, "paint")
    assert fits_the_screen(page)
    rate = pill(page).inner_text()
    page.get_by_label("number input for HDR mass: share of genuine images inside").fill("0.5")
    page.keyboard.press("Enter")
    expect(pill(page)).not_to_have_text(rate, timeout=20_000)


@one_look
def test_stop_ends_a_long_job_and_the_tab_works_again(page):
    open_tab(page, "Paint")
    prompt_box(page).fill("a fluffy cat sitting on a sofa")
    page.get_by_label("number input for Images (K)").fill("64")
    page.keyboard.press("Enter")
    page.get_by_role("button", name="Sampling").locator("visible=true").click()
    page.get_by_label("number input for Denoising steps").fill("200")
    page.keyboard.press("Enter")
    page.get_by_role("button", name="Paint", exact=True).click()
    expect(page.locator(".hl-card:visible progress")).to_be_visible(timeout=LOADED_MS)
    page.get_by_role("button", name="Stop").locator("visible=true").click()
    expect(page.get_by_text("Stopped")).to_be_visible(timeout=30_000)
    page.get_by_label("number input for Images (K)").fill("2")
    page.keyboard.press("Enter")
    page.get_by_label("number input for Denoising steps").fill("4")
    page.keyboard.press("Enter")
    page.get_by_role("button", name="Paint", exact=True).click()
    expect(pill(page)).to_contain_text("of 2 images", timeout=LOADED_MS)


def test_coins_show_the_exact_answer_and_train_live(page):
    open_tab(page, "Coins")
    expect(page.locator(".js-plotly-plot:visible").first).to_be_visible()
    page.get_by_role("button", name="Flip 10,000 times").click()
    page.get_by_role("button", name="Train live").click()
    expect(page.locator(".js-plotly-plot:visible")).to_have_count(3, timeout=LOADED_MS)  # pmf and two curves
    page.get_by_role("button", name="Stop").locator("visible=true").click()
    expect(page.get_by_text("the network’s answer is right")).to_be_visible(timeout=30_000)
    shoot(page, "coins")
    assert fits_the_screen(page)


@one_look
def test_bad_input_is_one_sentence_and_the_page_stays_up(page):
    page.get_by_role("button", name="Ask", exact=True).click()
    expect(page.get_by_text("expected a question, got an empty")).to_be_visible(timeout=20_000)
    open_tab(page, "Paint")
    prompt_box(page).fill("cat " * 2_500)
    page.get_by_role("button", name="Paint", exact=True).click()
    expect(page.get_by_text("expected a prompt of at most")).to_be_visible(timeout=20_000)
    open_tab(page, "Coins")
    expect(page.get_by_role("button", name="Train live")).to_be_visible()


@pytest.fixture(scope="module")
def client(address) -> Client:
    return Client(address, verbose=False)


def test_the_endpoints_give_the_command_lines_json(client):
    asked = client.predict("What is a good pet for a small flat?", api_name="/ask")
    assert asked["is_hallucination"] in (True, False)
    assert {state["state"] for state in asked["states"]} == {"a cat", "a goldfish"}
    painted = client.predict("a cute pet animal", n_images=2, seed=7, api_name="/paint")
    assert [image["seed"] for image in painted["images"]] == [7, 8]
    assert painted["images"][0]["png"].startswith("data:image/png;base64,")
    flipped = client.predict(2, api_name="/flip_coins")
    assert sum(flipped["counts"]) == flipped["flips"]
    assert {"answer", "is_hallucination"} <= set(flipped["estimators"][0])


def test_the_endpoints_refuse_in_words(client):
    for call, words in [
        ({"question": "", "api_name": "/ask"}, "got an empty"),
        ({"prompt": "a cat", "n_images": 0, "api_name": "/paint"}, "between 1 and 64"),
        ({"prompt": "a cat", "checkpoint": "../../etc/passwd", "api_name": "/paint"}, "unknown checkpoint"),
    ]:
        with pytest.raises(AppError, match=words):
            client.predict(**call)


def test_the_server_keeps_its_files_to_itself(address):
    for path in ("/gradio_api/file=app.py", "/gradio_api/file=/etc/passwd", "/gradio_api/file=checkpoints/x"):
        with pytest.raises(urllib.error.HTTPError) as caught:
            urllib.request.urlopen(address + path, timeout=10)
        assert caught.value.code in (403, 404)
