"""The Ask tab grown, as a visitor meets it: words clicked and changed, the rate, two checkpoints, listed answers."""

import re

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.ui.browsing import fits_the_screen, one_look, pill, press_ask, question_box, shoot

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]

QUESTION = "What is a good pet for a small flat?"


def ask(page: Page) -> None:
    page.get_by_role("button", name=QUESTION).click()
    expect(page.get_by_role("textbox", name="Possible answers")).to_have_value("a cat\na goldfish")
    press_ask(page)
    expect(pill(page)).to_contain_text(re.compile("allucination"))
    expect(words(page).last).to_have_text("∎")


def words(page: Page) -> Locator:
    """What can be clicked in the answer."""
    return page.locator(".hl-answer [data-place]")


def panel(page: Page, title: str) -> None:
    page.get_by_role("button", name=re.compile(title)).click()


def test_a_word_is_clicked_changed_and_changed_back(page):
    ask(page)
    answer = page.locator(".hl-answer")
    before = answer.inner_text()
    animal = words(page).filter(has_text=re.compile("cat|goldfish")).first
    was_cat = "cat" in animal.inner_text()
    animal.click()
    expect(page.locator(".hl-choices")).to_contain_text("could have written")
    shoot(page, "ask-choices")
    assert fits_the_screen(page)
    page.locator(".hl-choice[role]").filter(has_text="goldfish" if was_cat else "“cat”").click()
    expect(page.get_by_role("button", name="Back to the first answer")).to_be_visible()
    expect(answer.locator(".hl-forced")).to_have_text(" goldfish" if was_cat else " cat")
    expect(page.locator(".hl-choices")).to_have_count(0)
    expect(pill(page)).to_contain_text(re.compile("allucination"))
    shoot(page, "ask-branch")
    page.get_by_role("button", name="Back to the first answer").click()
    expect(answer).to_have_text(before)
    expect(page.get_by_role("button", name="Back to the first answer")).to_be_hidden()


@one_look
def test_the_keyboard_reaches_every_word(page):
    ask(page)
    words(page).first.focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    assert page.evaluate("document.activeElement.dataset.place") == "2"
    page.keyboard.press("Enter")
    expect(page.locator(".hl-choices")).to_be_visible()
    expect(words(page).nth(2)).to_have_class(re.compile("hl-chosen"))


def test_the_rate_grows_and_stops_when_decided(page):
    ask(page)
    panel(page, "Ask 16 times")
    page.get_by_role("button", name="Sample 16 answers").click()
    expect(page.get_by_text(re.compile("Mostly (not )?hallucinations|Not decided after 16"))).to_be_visible()
    marks = page.locator(".hl-marks [title]").count()
    assert 8 <= marks <= 16
    expect(page.get_by_text(re.compile(rf"\d+ of {marks} answers hallucinate"))).to_be_visible()
    shoot(page, "ask-rate")
    assert fits_the_screen(page)


def test_base_and_tuned_stand_side_by_side(page):
    ask(page)
    panel(page, "Base against tuned")
    page.get_by_role("button", name="Compare on the same seed").click()
    expect(page.locator(".hl-two:visible .hl-pill")).to_have_count(2)
    expect(page.get_by_text(re.compile("Neither is|Only the answer|Both are"))).to_be_visible()
    shoot(page, "ask-compare")
    assert fits_the_screen(page)


def test_a_common_wrong_answer_is_found_out(page):
    panel(page, "Common wrong answers")
    expect(page.get_by_text("An owl can turn its head all the way round.")).to_be_visible()
    page.get_by_role("textbox", name="Your own answer to it").fill("A full circle, 360 degrees.")
    page.get_by_role("button", name="Answer and compare").click()
    expect(page.get_by_text("✕ Like a listed wrong answer")).to_be_visible()
    expect(page.locator(".js-plotly-plot:visible")).to_have_count(2)  # the example's above
    page.wait_for_timeout(500)  # let the figure be drawn
    shoot(page, "ask-references")
    assert fits_the_screen(page)


def test_the_whole_experiment_shows_one_part_at_a_time(page):
    panel(page, "The whole experiment")
    expect(page.get_by_text("Figure 4, measured here: TruthfulQA, answer_only")).to_be_visible()
    page.get_by_role("radio", name="Text verdicts").click()
    expect(page.get_by_text("Where hints pay: genuine answers let in").first).to_be_visible()
    expect(page.get_by_text("Figure 4, measured here: TruthfulQA, answer_only")).to_have_count(0)
    page.wait_for_timeout(500)  # let the figures be drawn
    shoot(page, "ask-experiment")
    assert fits_the_screen(page)


@one_look
def test_possible_answers_are_found_by_sampling(page):
    question_box(page).fill("Which pet would suit a tiny flat?")
    page.get_by_role("button", name="Find possible answers by sampling").click()
    states = page.get_by_role("textbox", name="Possible answers")
    expect(states).to_have_value(re.compile("a (cat|goldfish)\na (cat|goldfish)"))
    expect(page.get_by_text(re.compile(r"Of 64 answers without a hint: \d+ ×"))).to_be_visible()
    question_box(page).fill("Why is purple heavier than Tuesday?")
    expect(states).to_have_value("")
    expect(page.get_by_text("Of 64 answers")).to_have_count(0)


@one_look
def test_a_pasted_answer_shows_which_words_do_not_belong(page):
    page.get_by_role("button", name=QUESTION).click()
    page.get_by_role("button", name="Judge my own answer").click()
    page.get_by_role("textbox", name="Answer to judge").fill("A goldfish, because it purrs.")
    press_ask(page)
    expect(pill(page)).to_have_text("✕ Hallucination")
    expect(page.locator(".hl-answer mark").filter(has_text="p").first).to_be_visible()
    expect(page.locator(".hl-answer span").filter(has_text="goldfish")).to_be_visible()
    shoot(page, "ask-pasted")


@one_look
def test_stopping_the_rate_frees_the_tab_for_another(page):
    question_box(page).fill(QUESTION)
    states = page.get_by_role("textbox", name="Possible answers")
    expect(states).to_have_value("a cat\na goldfish")
    states.fill("\n".join(f"animal number {number}" for number in range(12)))  # a frame that takes a while
    panel(page, "Ask 16 times")
    page.get_by_role("button", name="Sample 16 answers").click()
    expect(page.locator(".hl-card:visible progress")).to_be_visible()
    page.get_by_role("button", name="Stop sampling").click()
    expect(page.get_by_text("Stopped before the first answer was judged.")).to_be_visible()
    states.fill("a cat\na goldfish")
    page.get_by_role("button", name="Sample 16 answers").click()
    expect(page.get_by_text(re.compile("Mostly (not )?hallucinations|Not decided after 16"))).to_be_visible()


def test_every_new_endpoint_answers(client):
    rate = client.predict(QUESTION, api_name="/ask_rate")
    assert rate["n_judged"] >= 8
    assert rate["interval"][0] <= rate["hallucination_rate"] <= rate["interval"][1]
    assert len(client.predict(QUESTION, api_name="/ask_compare")["compared"]) == 2
    assert client.predict(QUESTION, "A", api_name="/token_choices")["choices"][0]["rank"] == 1
    assert sorted(client.predict(QUESTION, api_name="/propose_states")["states"]) == ["a cat", "a goldfish"]
    found = client.predict("misconception-01", api_name="/resemblance")
    assert found["finding"] in ("incorrect", "correct", "chance", "empty")
