"""The Density tab as a visitor meets it: means dragged and typed, answers clicked, theorems chosen."""

import re

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.ui.browsing import fits_the_screen, one_look, open_tab, pill, shoot

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]

PLOT = "#density-figure .js-plotly-plot"


def handle(page: Page, state: int) -> Locator:
    return page.locator(".hl-mean").nth(state - 1)


def open_density(page: Page) -> None:
    open_tab(page, "Density")
    expect(handle(page, 1)).to_be_visible()
    handle(page, 1).scroll_into_view_if_needed()


def choose(page: Page, title: str) -> None:
    page.get_by_label("Start from").click()
    page.get_by_role("option", name=title).first.click()


def drawn_means(page: Page) -> list[list[float]]:
    return page.locator(PLOT).evaluate("plot => plot.layout.meta.means")


def middle(locator: Locator) -> tuple[float, float]:
    box = locator.bounding_box()
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


def pixel(page: Page, x: float, y: float = 0.0) -> tuple[float, float]:
    """Where the figure's axes have a point."""
    return tuple(
        page.locator(PLOT).evaluate(
            "(plot, [x, y]) => { const box = plot.getBoundingClientRect(), full = plot._fullLayout;"
            " return [box.left + full.xaxis._offset + full.xaxis.d2p(x),"
            " box.top + full.yaxis._offset + full.yaxis.d2p(y)]; }",
            [x, y],
        )
    )


def wait_for_mean(page: Page, state: int, *, near: float) -> None:
    page.wait_for_function(
        "([plot, index, near]) => Math.abs(document.querySelector(plot).layout.meta.means[index][0] - near) < 0.06",
        arg=[PLOT, state - 1, near],
    )


def test_the_first_view_tells_the_story(page):
    open_density(page)
    expect(pill(page)).to_have_text("✕ Hallucination")
    expect(page.get_by_text("The best estimate is a hallucination.")).to_be_visible()
    expect(page.locator(".hl-mean")).to_have_count(2)
    for index, mean in enumerate((-3, 3), start=1):
        assert middle(handle(page, index)) == pytest.approx(pixel(page, mean), abs=2)
    page.wait_for_timeout(500)
    shoot(page, "density")
    assert fits_the_screen(page)


def test_modes_dragged_together_end_the_hallucination(page):
    open_density(page)
    x, y = middle(handle(page, 2))
    to = pixel(page, -2)[0]
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move((x + to) / 2, y + 3, steps=5)
    expect(page.locator(".hl-mean.hl-held")).to_have_count(1)
    wait_for_mean(page, 2, near=0.5)  # the page follows before the handle is let go
    page.mouse.move(to, y, steps=5)
    page.mouse.up()
    expect(pill(page)).to_have_text("✓ Not a hallucination")
    expect(page.get_by_label("mean", exact=True)).to_have_value(
        re.compile(r"^-[12]\.\d+")
    )  # the dragged state's
    wait_for_mean(page, 2, near=-2)
    page.wait_for_timeout(300)
    assert middle(handle(page, 2)) == pytest.approx(pixel(page, drawn_means(page)[1][0]), abs=2)


@one_look
def test_a_drag_is_answered_step_by_step(page):
    open_density(page)
    for preset, n_states in (("The mean between two modes", 2), ("Six causes in a ring", 6)):
        choose(page, preset)
        expect(page.locator(".hl-mean")).to_have_count(n_states)
        page.wait_for_timeout(800)
        handle(page, 1).scroll_into_view_if_needed()
        x, y = middle(handle(page, 1))
        page.mouse.move(x, y)
        page.mouse.down()
        for step in range(1, 9):
            before = drawn_means(page)[0][0]
            page.mouse.move(x + 6 * step, y)
            page.wait_for_function(
                "([plot, before]) => document.querySelector(plot).layout.meta.means[0][0] !== before",
                arg=[PLOT, before],
            )
        page.mouse.up()


@one_look
def test_arrow_keys_move_a_mean_and_typed_numbers_shape_it(page):
    open_density(page)
    handle(page, 2).focus()
    page.keyboard.press("ArrowLeft")
    expect(handle(page, 2)).not_to_have_attribute("aria-label", re.compile("state 2: 3;"))
    assert drawn_means(page)[1][0] < 3
    page.get_by_role("radio", name="state 1").check()
    expect(page.get_by_label("mean", exact=True)).to_have_value("-3")
    page.get_by_label("mean", exact=True).fill("-1.5")
    page.keyboard.press("Enter")
    wait_for_mean(page, 1, near=-1.5)
    page.get_by_role("button", name="Add a state").click()
    expect(page.locator(".hl-mean")).to_have_count(3)
    page.get_by_role("button", name="Remove it").click()
    expect(page.locator(".hl-mean")).to_have_count(2)


@one_look
def test_a_clicked_answer_is_scored(page):
    open_density(page)
    x, _ = pixel(page, 2.0)
    _, y = pixel(page, 0, 0.3)
    page.mouse.click(x, y)
    expect(page.get_by_label("Score an answer")).to_have_value(re.compile(r"^(2|1\.9|2\.0)"))
    expect(page.get_by_text(re.compile("The answer (2|1.9|2.0)"))).to_be_visible()
    page.get_by_label("Score an answer").fill("0.1")
    page.keyboard.press("Enter")
    expect(page.get_by_text("The answer 0.1:")).to_be_visible()


def test_the_plane_and_a_theorem_with_its_certificate(page):
    open_density(page)
    choose(page, "Three causes in the plane")
    expect(page.locator(".hl-mean")).to_have_count(3)
    page.wait_for_timeout(800)
    means = drawn_means(page)
    for index, mean in enumerate(means, start=1):
        assert middle(handle(page, index)) == pytest.approx(pixel(page, *mean), abs=2)
    shoot(page, "density-plane")
    choose(page, "Theorem 5.2, as written")
    expect(page.get_by_text("Theorem 5.2, as written: ✕ fails")).to_be_visible()
    page.wait_for_timeout(500)
    shoot(page, "density-theorem")
    assert fits_the_screen(page)


@one_look
def test_the_audit_follows_its_controls(page):
    open_density(page)
    expect(page.locator(".hl-three dd").first).to_contain_text("≥ 1.6 × 10")
    page.get_by_label("number input for r, in standard deviations of a mean").fill("1.2")
    page.keyboard.press("Enter")
    expect(page.locator(".hl-three dd").first).to_contain_text("silent")


def test_the_endpoint_answers(client):
    record = client.predict(
        weights=[0.5, 0.5], means=[[-3], [3]], covariances=[[[1]], [[1]]], api_name="/density"
    )
    assert record["optimal_estimator"]["is_hallucination"]
    assert client.predict(preset="ring", api_name="/density")["optimal_estimator"]["in_hdr"]
