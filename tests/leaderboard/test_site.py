"""The site: the same bytes twice, small, escaped, and usable in a real browser from a file."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import leaderboard.site.rows
from benchmark.cli import run
from leaderboard.board import Board
from leaderboard.claimed import ClaimedRow, claimed_rows
from leaderboard.site.build import VENDOR, Built, build
from leaderboard.site.packing import suite_data
from leaderboard.site.rows import Lines, site_suites
from shifts.errors import UserError
from tests.leaderboard.made_bundles import made, network

if TYPE_CHECKING:
    from playwright.sync_api import Page

EVIL = "<script>document.title='pwned'</script>"
BROWSER = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = ["--no-sandbox", "--disable-quic", "--disable-background-networking", "--disable-component-update",
         "--disable-sync", "--no-first-run"]  # fmt: skip
SHIFTS = ("digits-tinted", "digits/spurious-tint")


def published(model: str, shift: str, accuracy: float, *, n: int | None = 597) -> ClaimedRow:
    return ClaimedRow(
        baseline="a-table-v1", source="https://example.org/table", model=model, library_key="", shift=shift,
        protocol="", accuracy=accuracy, n=n, family="standard", training_data=("digits-tinted",),
        publisher="somebody", revision="0123456789abcdef",
    )  # fmt: skip


CLAIMED = [
    *(published(f"published-{i:02d}", shift, 0.5 + 0.006 * i) for i in range(70) for shift in SHIFTS),
    *(published(EVIL, shift, 0.97, n=None) for shift in SHIFTS),
    *(published("=cmd()", shift, 0.6) for shift in SHIFTS),
]


@pytest.fixture(scope="module")
def board(tmp_path_factory: pytest.TempPathFactory) -> Board:
    folder = tmp_path_factory.mktemp("board")
    board = Board(folder / "entries")
    for number, skill in enumerate((1.0, 2.0)):
        answers = {shift: network(shift, skill=skill, seed=number) for shift in SHIFTS}
        card = {"title": EVIL, "authors": (EVIL,)} if number else {}
        bundle = made(answers, model=f"network-{number}", **card)
        place = folder / str(number)
        place.mkdir()
        board.add(bundle.write(place), accept=dict.fromkeys(LINTS, "made up"))
    return board


LINTS = ("near chance", "off the line", "copy", "independent errors", "confidence", "permutation")


@pytest.fixture(scope="module")
def site(board: Board, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Built]]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(leaderboard.site.rows, "claimed_rows", lambda: iter(CLAIMED))
        folder = tmp_path_factory.mktemp("site")
        yield folder / "out", build(board, folder / "out")


def test_the_same_entries_give_the_same_bytes(site: tuple[Path, Built], board: Board, tmp_path: Path) -> None:
    again = build(board, tmp_path / "again")
    assert again == site[1]
    assert again == build(board, tmp_path / "again"), "an earlier site is replaced"


def test_a_folder_with_other_files_is_left_alone(board: Board, tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(UserError, match="other files"):
        build(board, tmp_path)
    assert (tmp_path / "thesis.tex").read_text() == "years of work"


def test_no_text_of_a_submission_is_markup(site: tuple[Path, Built]) -> None:
    for page in site[0].rglob("*.html"):
        text = page.read_text()
        assert EVIL not in text, page.name
    assert "&lt;script&gt;" in (site[0] / "shift" / "digits-spurious-tint.html").read_text()
    data = (site[0] / "data" / "digits-tinted.js").read_text()
    assert "<" not in data
    assert "\n'=cmd()" in (site[0] / "data" / "digits-tinted.csv").read_text().replace(",", "\n")


def test_the_numbers_are_those_of_the_board(site: tuple[Path, Built], board: Board) -> None:
    document = json.loads((site[0] / "data" / "digits-tinted.json").read_text())
    rows = {row["model"]: row for row in document["rows"]}
    for standing in board.entries():
        row = rows[standing.entry.model.name]
        for one in standing.entry.shifts:
            assert row["shifts"][one.shift]["accuracy"]["value"] == one.accuracy.value
        assert row["rank"]["rank"] == (1 if row["model"] == "network-1" else 2)
    assert rows["published-10"]["rank"] is None, "published figures are never ranked"
    bare = rows[EVIL]["shifts"]["digits/spurious-tint"]["accuracy"]
    assert bare["value"] == 0.97
    assert bare["low"] is bare["n"] is None


def test_what_the_browser_loads_is_what_the_rows_say(site: tuple[Path, Built], board: Board) -> None:
    (suite,) = [one for one in site_suites(board) if one.name == "digits-tinted"]
    data = suite_data(suite, Lines())
    column = [shift["name"] for shift in data["shifts"]].index("digits/spurious-tint")
    for packed, row in zip(data["rows"], suite.rows, strict=True):
        cell = next(one for one in packed[8] if one[0] == column)
        assert cell[1] == round(1e4 * row.cells["digits/spurious-tint"].accuracy.value)


def test_the_libraries_are_the_published_files() -> None:
    known = {
        "table-core-8.21.3.js": "a0d1d4531c0c4ae7cdaec01f217c724aa969cacaff7f7d8971c334ac97500379",
        "chart-4.6.1.js": "87364cc2b2a76a6684929e7d6b80b18a897794db38400caff1fcf1791c6925d2",
    }
    for name in VENDOR:
        data = files("leaderboard.site").joinpath("vendor", name).read_bytes()
        assert hashlib.sha256(data).hexdigest() == known[name]


def test_the_shipped_board_builds_and_stays_small(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leaderboard.site.rows, "claimed_rows", claimed_rows)
    assert run(["leaderboard", "build", "-o", str(tmp_path / "site"), "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["pages"] > 2000
    for page in ("suite/imagenet.html", "suite/cifar10.html"):
        text = (tmp_path / "site" / page).read_text()
        name = Path(page).stem
        loaded = [*VENDOR, "board.js", "scales.js", "page.js", "style.css"]
        size = len(text) + (tmp_path / "site" / "data" / f"{name}.js").stat().st_size
        assert size < 1_000_000, "no page has over 1 MB of data up front"
        assert all(name in text for name in loaded)
        assert "http:" not in text
        assert 'src="http' not in text
    if BROWSER is not None:
        _look_at_imagenet(tmp_path / "site" / "suite" / "imagenet.html")


def _look_at_imagenet(path: Path) -> None:
    """2,000 published models: another shift, another page of the table, a model that is found by its name."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        page = playwright.chromium.launch(executable_path=BROWSER, args=FLAGS).new_page()
        page.goto(path.as_uri())
        assert "imagenet-v2" in page.locator("#shift").input_value()
        assert "slope 0.962" in page.locator("#line").inner_text(), "the line of the testbed"
        page.locator("#shift").select_option("imagenet-sketch")
        assert "r² 0.865" in page.locator("#line").inner_text()
        page.get_by_role("button", name="Next").click()
        assert page.locator("#page").inner_text().startswith("Page 2")
        page.locator("#search").fill("vit-b-16 openai")
        page.wait_for_function("document.getElementById('count').textContent.length < 30")
        page.wait_for_function("document.querySelectorAll('#models tbody tr').length < 10")
        assert "61.9" in page.locator("#models tbody").inner_text(), "CLIP ViT-B/16 on ImageNet-V2"


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    if BROWSER is None:
        pytest.skip("no Chromium on this machine")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=BROWSER, args=FLAGS)
        yield started
        started.close()


@pytest.fixture
def page(browser: Any) -> Iterator[Page]:
    """A page that fails the test when it complains or asks for anything but files."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    opened = context.new_page()
    problems: list[str] = []
    opened.on("console", lambda message: problems.append(message.text) if message.type == "error" else None)
    opened.on("pageerror", lambda error: problems.append(str(error)))
    opened.on(
        "request",
        lambda request: (
            problems.append(request.url) if not request.url.startswith(("file:", "data:")) else None
        ),
    )
    yield opened
    context.close()
    assert problems == []


def first_models(page: Page, count: int = 2) -> list[str]:
    return page.locator("#models tbody th a").all_inner_texts()[:count]


def test_sort_filter_search_and_open(site: tuple[Path, Built], page: Page) -> None:
    page.goto((site[0] / "suite" / "digits-tinted.html").as_uri())
    assert first_models(page) == ["network-1", "network-0"], "ranked entries come first"
    assert page.locator("#models tbody tr").count() == 50
    assert page.locator("#count").inner_text() == "74 of 74 models"
    page.get_by_role("button", name="digits/spurious-tint", exact=True).click()
    accuracies = [
        float(text.split()[0]) for text in page.locator("#models tbody tr td:nth-child(6)").all_inner_texts()
    ]
    assert accuracies == sorted(accuracies, reverse=True)
    page.get_by_role("button", name="digits/spurious-tint ▼").press("Enter")
    turned = [
        float(text.split()[0]) for text in page.locator("#models tbody tr td:nth-child(6)").all_inner_texts()
    ]
    assert turned == sorted(turned)
    assert page.locator("#models th[aria-sort]").get_attribute("aria-sort") == "ascending"
    page.locator("#search").fill("published-1")
    page.wait_for_function("document.getElementById('count').textContent.startsWith('10 ')")
    page.locator("#tier").select_option("re-scored")
    assert page.locator("#count").inner_text().startswith("0 of")
    page.locator("#search").fill("")
    page.wait_for_function("document.getElementById('count').textContent.startsWith('2 ')")
    kept = page.url
    page.goto("about:blank")
    page.goto(kept)
    assert page.locator("#tier").input_value() == "re-scored", "the address holds what is chosen"
    page.get_by_role("link", name="network-1").click()
    assert page.locator("h1").inner_text() == "network-1"
    assert EVIL in page.locator("main").inner_text(), "markup shows as text"
    assert page.title().startswith("network-1")


def test_scatter_scales_shifts_and_click(site: tuple[Path, Built], page: Page) -> None:
    page.goto((site[0] / "suite" / "digits-tinted.html").as_uri())
    assert "probit scale" in page.locator("#line").inner_text()
    for scale in ("logit", "linear"):
        page.get_by_label(scale).check()
        assert f"{scale} scale" in page.locator("#line").inner_text()
    assert page.locator("#shift option").count() == 1
    at = page.evaluate(
        """() => {
          const place = chart.data.datasets.findIndex((one) => one.label === 're-scored here');
          const point = chart.getDatasetMeta(place).data[0];
          return [point.x, point.y];
        }"""
    )
    box = page.locator("#scatter").bounding_box()
    assert box is not None
    page.mouse.click(box["x"] + at[0], box["y"] + at[1])
    page.wait_for_url("**/model/network-*.html")


@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_pages_are_accessible(site: tuple[Path, Built], page: Page, width: int, scheme: Any) -> None:
    from axe_playwright_python.sync_playwright import Axe

    page.set_viewport_size({"width": width, "height": 844})
    page.emulate_media(color_scheme=scheme)
    model = next(path for path in sorted((site[0] / "model").iterdir()) if path.name.startswith("network-1"))
    for name in (
        "index.html",
        "suite/digits-tinted.html",
        f"model/{model.name}",
        "shift/digits-spurious-tint.html",
    ):
        page.goto((site[0] / name).as_uri())
        found = Axe().run(page, options={"resultTypes": ["violations"], "preload": False})
        assert found.violations_count == 0, found.generate_report()
        wide = page.evaluate("document.documentElement.scrollWidth")
        assert wide <= width, f"{name} is {wide} pixels wide"
