"""What the browser tests do with the page: open a tab, find what is on it, keep a picture of it."""

import os
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

ROOT = Path(__file__).parents[2]
PATIENCE_MS = 60_000
"""of every expectation: long enough for the first use of a model on a busy machine"""
SCREENSHOTS = Path(os.environ.get("HALLULAB_SCREENSHOTS", ROOT / "runs" / "screenshots"))

expect.set_options(timeout=PATIENCE_MS)

one_look = pytest.mark.parametrize("page", ["light-1280"], indirect=True)


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


def press_ask(page: Page) -> None:
    """Press Ask and wait until the example, which has a verdict of its own, has made room."""
    page.get_by_role("button", name="Ask", exact=True).click()
    expect(page.get_by_text("An example.")).to_have_count(0)


def open_tab(page: Page, name: str) -> None:
    page.get_by_role("tab", name=name, exact=True).click()
