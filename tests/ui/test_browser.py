"""The app as a visitor meets it: started by `app.py`, driven in headless Chromium, with no Hub in reach."""

import re
import urllib.error
import urllib.request

import pytest
from gradio_client.exceptions import AppError
from playwright.sync_api import Locator, Page, expect

from tests.ui.browsing import (
    fits_the_screen,
    one_look,
    open_tab,
    pill,
    press_ask,
    prompt_box,
    question_box,
    shoot,
)

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]


def test_ask_opens_with_an_example_that_the_mass_decides_again(page):
    expect(page.get_by_text("An example.")).to_be_visible()
    expect(pill(page)).to_have_text("✕ Hallucination")
    expect(page.locator(".js-plotly-plot:visible")).to_have_count(1)
    shoot(page, "ask-example")
    assert fits_the_screen(page)
    thresholds = page.locator(".hl-table:visible tbody td:nth-child(3)")
    before = thresholds.all_inner_texts()
    page.get_by_label("number input for HDR mass: share of genuine answers inside").fill("0.6")
    page.keyboard.press("Enter")
    expect(thresholds).not_to_have_text(before)


def test_ask_answers_judges_and_decides_again(page):
    page.get_by_role("button", name="What is a good pet for a small flat?").click()
    expect(page.get_by_role("textbox", name="Possible answers")).to_have_value("a cat\na goldfish")
    press_ask(page)
    expect(pill(page)).to_contain_text(re.compile("allucination"))
    expect(page.locator(".hl-answer")).to_contain_text(re.compile("cat|goldfish", re.I))
    expect(page.locator(".hl-table:visible tbody tr")).to_have_count(2)
    expect(page.locator(".js-plotly-plot:visible")).to_have_count(1)
    shoot(page, "ask")
    assert fits_the_screen(page)
    threshold = page.locator(".hl-table:visible tbody td:nth-child(3)").first
    before = float(threshold.inner_text())
    page.get_by_label("number input for HDR mass: share of genuine answers inside").fill("0.6")
    page.keyboard.press("Enter")
    expect(threshold).not_to_have_text(f"{before:.2f}")
    assert float(threshold.inner_text()) > before  # less mass, a smaller region


@one_look
def test_a_spliced_answer_is_a_hallucination(page):
    page.get_by_role("button", name="What is a good pet for a small flat?").click()
    page.get_by_role("button", name="Judge my own answer").click()
    page.get_by_role("textbox", name="Answer to judge").fill(
        "A goldfish, because it purrs and naps indoors in winter."
    )
    press_ask(page)
    expect(pill(page)).to_have_text("✕ Hallucination")
    expect(page.locator(".js-plotly-plot:visible")).to_have_count(1)
    shoot(page, "ask-hallucination")


@one_look
def test_a_nonsense_question_gets_no_verdict_and_markup_stays_text(page):
    question_box(page).fill("Why is <img src=x onerror=alert(1)> heavier than Tuesday?")
    page.get_by_role("textbox", name="Possible answers").fill("<b>purple</b>\ngravity")
    press_ask(page)
    expect(pill(page)).to_have_text("? No verdict")
    expect(page.locator(".hl-card img, .hl-card b")).to_have_count(0)
    shoot(page, "ask-no-verdict")


def test_paint_frames_every_image_and_decides_again(page):
    open_tab(page, "Paint")
    page.get_by_role("button", name="a cute pet animal").click()
    expect(prompt_box(page)).to_have_value("a cute pet animal")
    page.get_by_role("button", name="Paint", exact=True).click()
    expect(pill(page)).to_contain_text("of 16 images")
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
    expect(pill(page)).not_to_have_text(rate)


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
    expect(page.locator(".hl-card:visible progress")).to_be_visible()
    page.get_by_role("button", name="Stop").locator("visible=true").click()
    expect(page.get_by_text("Stopped")).to_be_visible()
    page.get_by_label("number input for Images (K)").fill("2")
    page.keyboard.press("Enter")
    page.get_by_label("number input for Denoising steps").fill("4")
    page.keyboard.press("Enter")
    page.get_by_role("button", name="Paint", exact=True).click()
    expect(pill(page)).to_contain_text("of 2 images")


def tile(page: Page, name: str) -> Locator:
    """A number of the flips' panel."""
    return page.locator(".hl-stats div", has_text=name).locator("dd")


def drag_line(page: Page, *, to: float) -> None:
    """Take the grip of the δ line with the mouse and leave it where the figure's own axis has `to`."""
    grip = page.locator(".hl-grip")
    grip.scroll_into_view_if_needed()
    box = grip.bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    target = page.locator("#coin-pmf .js-plotly-plot").evaluate(
        "(plot, to) => plot.getBoundingClientRect().top + plot._fullLayout.yaxis._offset"
        " + plot._fullLayout.yaxis.d2p(to)",
        to,
    )
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x, (y + target) / 2, steps=4)
    page.mouse.move(x, target, steps=4)
    page.mouse.up()


def set_number(page: Page, label: str, value: str) -> None:
    """Type a number; a box of a section that has just opened is sometimes set once more by the page itself."""
    box = page.get_by_label(label, exact=True).locator("visible=true")
    for _ in range(5):
        box.fill(value)
        page.keyboard.press("Tab")
        page.wait_for_timeout(300)
        if box.input_value() == value:
            return
    raise AssertionError(f"{label} does not stay at {value}")


def test_coins_are_chosen_flipped_and_judged(page):
    open_tab(page, "Coins")
    expect(page.locator("#coin-pmf .js-plotly-plot")).to_be_visible()
    expect(pill(page)).to_have_text("✕ Hallucination")
    page.get_by_role("checkbox", name="coin 1 25 %").check()
    expect(page.get_by_text("is 1.75 heads, which can never happen")).to_be_visible()
    page.get_by_role("checkbox", name="coin 1 25 %").press("Space")  # the keyboard's way
    expect(page.get_by_text("is 1.5 heads, which can never happen")).to_be_visible()

    page.get_by_role("button", name="Flip once").click()
    expect(
        page.get_by_text(re.compile("Last flip: coin 2 fell (heads|tails), coin 4 fell heads"))
    ).to_be_visible()
    assert tile(page, "flips").inner_text() == "1"
    coin = page.locator("#coin-chips label", has_text="coin 4")
    assert coin.evaluate("coin => getComputedStyle(coin, '::after').content") == '"heads"'

    page.get_by_role("button", name="Flip 10,000 times").click()
    expect(page.get_by_role("button", name="Stop flipping")).to_be_visible()
    expect(tile(page, "flips")).to_have_text("10,001")
    expect(page.get_by_role("button", name="Flip 10,000 times")).to_be_visible()
    assert float(tile(page, "off the exact bars").inner_text().removesuffix(" %")) < 3
    page.wait_for_timeout(500)  # let the last picture be drawn
    shoot(page, "coins-flipped")
    assert fits_the_screen(page)
    page.get_by_role("button", name="Clear", exact=True).click()
    expect(page.get_by_text("Not flipped yet")).to_be_visible()


def test_the_line_is_dragged_and_everything_is_decided_again(page):
    open_tab(page, "Coins")
    expect(page.locator(".hl-grip")).to_be_visible()
    value = page.get_by_label(re.compile("number input for δ"))
    verdicts = page.locator(".hl-table:visible .hl-pill")
    expect(verdicts).to_have_text(["✕ hallucination", *["✓ plausible"] * 3])
    line = page.locator("#coin-pmf .shapelayer path")
    drag_line(page, to=0.55)  # above both bars, which are 0.5 high
    expect(verdicts).to_have_text(["✕ hallucination"] * 4)
    assert float(value.input_value()) == pytest.approx(0.55, abs=0.02)
    drag_line(page, to=0.3)
    expect(verdicts).to_have_text(["✕ hallucination", *["✓ plausible"] * 3])
    assert float(value.input_value()) == pytest.approx(0.3, abs=0.02)
    drag_line(page, to=0.72)  # far above them: the figure shows every probability now
    expect(verdicts).to_have_text(["✕ hallucination"] * 4)
    # the grip sits on the line that the figure draws, wherever the slider puts it
    value.fill("0.2")
    page.keyboard.press("Enter")
    expect(page.locator(".hl-grip")).to_have_text(re.compile("δ = 0.20"))
    grip, drawn = page.locator(".hl-grip").bounding_box(), line.bounding_box()
    assert grip["y"] + grip["height"] / 2 == pytest.approx(drawn["y"] + drawn["height"] / 2, abs=2)
    page.get_by_role("radio", name="HDR mass").check()
    expect(page.locator(".hl-grip")).to_have_count(0)


def test_flipping_stops_at_the_next_click(page):
    open_tab(page, "Coins")
    page.get_by_role("button", name="Flip 10,000 times").click()
    page.get_by_role("button", name="Stop flipping").click()
    expect(page.get_by_role("button", name="Flip 10,000 times")).to_be_visible()
    page.wait_for_timeout(500)
    kept = tile(page, "flips").inner_text()
    page.wait_for_timeout(700)
    assert tile(page, "flips").inner_text() == kept
    assert kept != "10,000"


def test_coins_train_stop_compare_and_export(page):
    open_tab(page, "Coins")
    for kind in ("CSV", "JSON lines", "PNG", "SVG"):
        expect(page.get_by_role("button", name=f"Save {kind}", exact=True)).to_be_disabled()
    page.get_by_role("button", name="Training settings").locator("visible=true").click()
    set_number(page, "M: flips", "4000")
    set_number(page, "Epochs", "2")
    page.get_by_role("button", name="Train live").click()
    expect(page.get_by_text("Trained 2 epochs, 5 rounds: N = 2.")).to_be_visible()
    for kind, name in (("CSV", "hallulab-coins.csv"), ("PNG", "hallulab-coins.png")):
        with page.expect_download() as saved:
            page.get_by_role("button", name=f"Save {kind}", exact=True).click()
        assert saved.value.suggested_filename == name
        assert len(saved.value.path().read_bytes()) > 1000

    page.get_by_text("cross-entropy over counts", exact=True).click()
    set_number(page, "Epochs", "100")
    page.get_by_role("button", name="Train live").click()
    expect(page.locator(".hl-card:visible progress")).to_be_visible()
    expect(page.get_by_text(re.compile(r"every round has finished \d"))).to_be_visible()
    page.get_by_role("button", name="Stop", exact=True).locator("visible=true").click()
    expect(page.get_by_text(re.compile("Stopped after .* of 100 epochs, 5 rounds: N = 2"))).to_be_visible()
    runs = page.locator(".hl-table:visible").last.locator("tbody tr")
    expect(runs).to_have_count(4)  # squared error, and three ways to answer after cross-entropy
    page.wait_for_timeout(500)
    shoot(page, "coins")
    assert fits_the_screen(page)
    page.get_by_role("button", name="Clear these trainings").click()
    expect(page.get_by_text("Every training of this visit is kept here")).to_be_visible()


@one_look
def test_bad_input_is_one_sentence_and_the_page_stays_up(page):
    page.get_by_role("button", name="Ask", exact=True).click()
    expect(page.get_by_text("expected a question, got an empty")).to_be_visible()
    open_tab(page, "Paint")
    prompt_box(page).fill("cat " * 2_500)
    page.get_by_role("button", name="Paint", exact=True).click()
    expect(page.get_by_text("expected a prompt of at most")).to_be_visible()
    open_tab(page, "Coins")
    expect(page.get_by_role("button", name="Train live")).to_be_visible()


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
