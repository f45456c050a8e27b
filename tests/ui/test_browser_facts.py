"""The tabs Facts and Grading as a visitor meets them: sliders moved, a fact clicked, t moved, a file opened."""

import json
import re

import pytest
from playwright.sync_api import Page, expect

from tests.ui.browsing import fits_the_screen, one_look, open_tab, shoot

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]


def verdict(page: Page, tab: str):
    return page.locator(f"#{tab}-verdict")


def test_facts_move_together_and_one_is_clicked(page):
    open_tab(page, "Facts")
    expect(verdict(page, "facts")).to_contain_text("was promised by the share of facts seen once")
    page.wait_for_timeout(800)
    shoot(page, "facts")
    assert fits_the_screen(page)
    before = verdict(page, "facts").inner_text()
    page.get_by_label("number input for N: training sentences").fill("20000")
    page.keyboard.press("Enter")
    expect(verdict(page, "facts")).not_to_have_text(before)
    assert page.get_by_role("slider", name="N: training").get_attribute("aria-valuetext") == "20,000"
    page.locator(".hl-dots [data-place]").last.click()
    expect(page.locator(".hl-fact")).to_contain_text("among 20,000 training sentences")
    page.get_by_label("abstainer").check()
    expect(verdict(page, "facts")).to_contain_text("The abstainer is never wrong")
    expect(page.locator(".hl-fact")).to_contain_text("The abstainer gives the right date")


@one_look
def test_the_keyboard_moves_a_slider_and_reaches_the_facts(page):
    open_tab(page, "Facts")
    expect(page.get_by_label("number input for People in the world")).to_have_value("2000")
    page.get_by_role("slider", name="People in the world").focus()
    page.keyboard.press("ArrowRight")
    expect(page.get_by_label("number input for People in the world")).to_have_value("2500")
    expect(page.locator(".hl-people")).to_contain_text(re.compile(r"1,\d\d\d people"))
    page.locator('.hl-dots [tabindex="0"]').focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    expect(page.locator(".hl-dots [data-place]").nth(1)).to_have_class(re.compile("hl-chosen"))


def test_grades_follow_t_and_a_file_of_ones_own(page, tmp_path):
    open_tab(page, "Grading")
    expect(verdict(page, "grading")).to_contain_text("✓ Better than saying nothing")
    page.wait_for_timeout(800)
    shoot(page, "grading")
    assert fits_the_screen(page)
    page.get_by_label("0.95 high stakes").check()
    expect(verdict(page, "grading")).to_contain_text("✕ Worse than saying nothing")
    expect(page.locator("#grading-prompt textarea")).to_have_value(
        re.compile("more than 95 % confident: a mistake costs 19 points")
    )
    answers = tmp_path / "answers.jsonl"
    answer = {
        "id": 1, "question": "<b>Capital?</b>", "answer": "<img src=x> Lyon", "confidence": 0.6,
        "correct_answers": ["Paris"], "incorrect_answers": ["Lyon"],
    }  # fmt: skip
    answers.write_text(json.dumps(answer) + "\n<script>\n", encoding="utf-8")
    page.get_by_role("button", name="Grade your own answers").click()
    with page.expect_file_chooser() as chooser:
        page.get_by_role("button", name="Open a file").click()
    chooser.value.set_files(answers)
    expect(page.get_by_text("line 2: no JSON")).to_be_visible()
    expect(page.locator(".hl-graded tbody tr")).to_have_count(1)
    expect(page.locator(".hl-graded")).to_contain_text("<img src=x> Lyon")
    expect(page.locator(".hl-graded img")).to_have_count(0)
    assert fits_the_screen(page)


@one_look
def test_policies_are_trained_on_the_page(page):
    open_tab(page, "Grading")
    page.get_by_role("button", name="What do such grades teach?").click()
    page.get_by_label("number input for Worlds").fill("1")
    page.get_by_role("button", name="Train the policies").click()
    expect(page.get_by_text("Binary grading taught it to guess")).to_be_visible()


def test_the_endpoints_answer(client):
    found = client.predict(n_prompts=300, n_samples=300, fact=0, api_name="/facts")
    assert found["learner"]["delta"] < 1e-9
    assert client.predict(api_name="/grade")["n"] == 200
