"""The Paint tab grown, as a visitor meets it: images that arrive, one looked at, every checkpoint, own pictures."""

import re

import pytest
from playwright.sync_api import Page, expect

from tests.ui.browsing import fits_the_screen, one_look, open_tab, pill, prompt_box, question_box, shoot

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]

PROMPT = "a cute pet animal"


def paint(page: Page, n_images: int) -> None:
    open_tab(page, "Paint")
    page.get_by_role("button", name=PROMPT).click()
    page.get_by_label("number input for Images (K)").fill(str(n_images))
    page.keyboard.press("Enter")
    page.get_by_role("button", name="Paint", exact=True).click()


@one_look
def test_the_tab_shows_what_fine_tuning_does_before_anything_is_painted(page):
    open_tab(page, "Paint")
    first = page.locator(".hl-first")
    expect(first.locator(".hl-first-row")).to_have_count(5)
    expect(first.locator("img")).to_have_count(40)
    widths = first.locator("img").evaluate_all("images => images.map(image => image.naturalWidth)")
    assert set(widths) == {64}
    expect(first).to_contain_text("Base model8 of 8 hallucinate")
    paint(page, 1)
    expect(pill(page)).to_contain_text("of 1 image")
    expect(first).to_have_count(0)


def test_images_form_arrive_and_are_looked_at(page, tmp_path):
    paint(page, 8)
    expect(page.locator(".hl-forming img").first).to_be_visible()
    expect(pill(page)).to_contain_text("of 8 images")
    expect(page.locator(".hl-forming")).to_have_count(0)
    page.get_by_label("number input for HDR mass").locator("visible=true").fill("0.8")
    page.keyboard.press("Enter")
    expect(page.get_by_text("20% fall outside their own region")).to_be_visible()
    page.locator("#paint-gallery .gallery-item button").nth(1).click()
    details = page.locator(".hl-details:visible")
    expect(details).to_contain_text("Image 2, seed 1")
    expect(details.locator(".hl-nearest img")).to_have_count(4)
    expect(details).to_contain_text("read by a probe")
    shoot(page, "paint-details")
    assert fits_the_screen(page)
    # the picture as saved from the page brings its recipe back
    with page.expect_download() as saved:
        page.locator("#paint-gallery").get_by_role("button", name=re.compile("ownload")).first.click()
    kept = tmp_path / "kept.png"
    saved.value.save_as(kept)
    prompt_box(page).fill("something else")
    page.get_by_label("number input for HDR mass").locator("visible=true").fill("0.95")
    page.keyboard.press("Enter")
    page.get_by_role("button", name="Your own picture").click()
    page.locator("input[type=file]:not([webkitdirectory])").last.set_input_files(kept)
    expect(page.get_by_text("Painted here")).to_be_visible()
    expect(prompt_box(page)).to_have_value(PROMPT)
    expect(page.get_by_label("number input for Images (K)")).to_have_value("1")
    expect(page.get_by_label("number input for HDR mass").locator("visible=true")).to_have_value("0.8")
    expect(page.get_by_label("Seed", exact=True).locator("visible=true")).to_have_value("1")
    expect(page.locator(".hl-details:visible").last).to_contain_text("Your picture")
    shoot(page, "paint-given")
    assert fits_the_screen(page)


@one_look
def test_an_example_is_in_its_box_before_anything_else_can_be_pressed(page):
    open_tab(page, "Paint")
    example = page.get_by_role("button", name=PROMPT)
    expect(example).to_be_visible()
    page.route("**/gradio_api/**", lambda asked: asked.abort())  # the browser fills it without the server
    example.click()
    expect(prompt_box(page)).to_have_value(PROMPT)
    open_tab(page, "Ask")
    page.get_by_role("button", name="What is a good pet for a small flat?").click()
    expect(question_box(page)).to_have_value("What is a good pet for a small flat?")


def test_the_time_machine_moves_through_training(page):
    open_tab(page, "Paint")
    page.get_by_role("button", name=PROMPT).click()
    page.get_by_label("number input for Images (K)").fill("2")
    page.keyboard.press("Enter")
    page.get_by_role("button", name="Time machine").click()
    page.get_by_role("button", name="Paint at every checkpoint").click()
    expect(page.get_by_role("button", name="Stop travelling")).to_be_disabled()
    expect(pill(page)).to_contain_text("step-2800: ")
    expect(page.locator("#time-gallery .gallery-item")).to_have_count(2)
    expect(page.locator(".js-plotly-plot:visible")).to_have_count(1)
    page.get_by_label("number input for Checkpoint").fill("0")
    page.keyboard.press("Enter")
    expect(pill(page)).to_contain_text("base: 2 of 2 hallucinate")
    page.locator("#time-gallery .gallery-item button").nth(1).click()
    details = page.locator(".hl-details:visible")
    expect(details).to_contain_text("Image 2, seed 1")
    expect(details.locator(".hl-nearest img")).to_have_count(4)
    shoot(page, "paint-time")
    assert fits_the_screen(page)


@one_look
def test_guided_sampling_keeps_what_is_inside(page):
    open_tab(page, "Paint")
    page.get_by_role("button", name="Guided by density").locator("visible=true").click()
    page.get_by_role("radio", name="Keep the best of n").check()
    page.get_by_label("number input for n:").fill("3")
    page.keyboard.press("Enter")
    paint(page, 2)
    expect(pill(page)).to_contain_text("2 kept of 6 painted")
    expect(page.get_by_text("on the same seeds:")).to_be_visible()
    expect(page.get_by_text("3.0 images painted for each one kept")).to_be_visible()


def test_every_new_endpoint_answers(client):
    found = client.predict(PROMPT, n_images=1, guided="best", api_name="/paint")
    assert found["guided"]["n_painted"] == 4
    judged = client.predict(found["images"][0]["png"], api_name="/score_image")
    assert judged["margin_nats"] == pytest.approx(found["images"][0]["margin_nats"], abs=0.01)
    assert judged["attributes"].keys() == {"ears", "eyes", "muzzle"}
    assert all(one["png"] for one in judged["nearest_genuine"])
    times = client.predict(PROMPT, ["base", "step-2800"], n_images=1, api_name="/time_machine")
    assert [entry["checkpoint"] for entry in times["checkpoints"]] == ["base", "step-2800"]
