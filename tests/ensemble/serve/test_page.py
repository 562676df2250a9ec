"""The page in a real browser, over a panel that is trained on a handful of the shipped samples."""

import csv
import json
import os
import shlex
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
import zipfile
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("gradio", reason="the extra 'serve' is not installed")
playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
ROOT = Path(__file__).parents[3]
IMAGES = ROOT / "samples" / "images"

pytestmark = [pytest.mark.slow, pytest.mark.skipif(not CHROMIUM, reason="no chromium on this machine")]

KEY = "a-key-of-this-test-0123456789"
PATIENCE_SECONDS = 300
"""A slow machine's first picture takes a while: the reader is loaded for it."""
CONFIG = "name: page\nfolds: 2\npanel:\n  image: [screen_text]\n  dialogue: [dialogue_text]\n"


@dataclass(frozen=True)
class Served:
    url: str
    data: Path
    panel: Path


def few(path: Path, n_labels: int, n_each: int) -> list[dict[str, Any]]:
    """The first samples of a few labels of each task."""
    groups: dict[tuple[bool, str], list[dict[str, Any]]] = defaultdict(list)
    for record in json.loads(path.read_text(encoding="utf-8")):
        groups[record["instruction"].startswith("Picture 1"), record["output"]].append(record)
    chosen = [group for image in (True, False) for group in [g for k, g in groups.items() if k[0] == image][:n_labels]]
    return [record for group in chosen for record in group[:n_each]]


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("page")
    (folder / "config.yaml").write_text(CONFIG)
    for name, n_each in (("train", 4), ("test", 1)):
        records = few(ROOT / "samples" / f"{name}.json", 3, n_each)
        (folder / f"{name}.json").write_text(json.dumps(records, ensure_ascii=False), encoding="utf-8")
    data = ("--data", str(folder / "train.json"), "--images", str(IMAGES))
    command("ensemble.train", "all", *data, "--panel", str(folder / "panel"), "--config", str(folder / "config.yaml"))
    with running(folder) as url:
        yield Served(url, folder / "test.json", folder / "panel")


@contextmanager
def running(folder: Path, *options: str) -> Iterator[str]:
    """The address of a service over the folder's panel."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = subprocess.Popen(
        [sys.executable, "-m", "ensemble.serve", "--panel", str(folder / "panel"), "--port", str(port), *options],
        cwd=ROOT,
        env={**os.environ, "MIRE_CACHE": str(folder / "cache")},
    )
    try:
        wait_for(f"http://127.0.0.1:{port}/healthz", server)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait(PATIENCE_SECONDS)


@pytest.fixture(scope="module")
def locked(served: Served, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a service that asks for a key."""
    keys = tmp_path_factory.mktemp("keys") / "keys"
    keys.write_text(KEY)
    with running(served.panel.parent, "--api-key-file", str(keys)) as url:
        yield url


def command(*arguments: str) -> None:
    subprocess.run([sys.executable, "-m", *arguments], cwd=ROOT, check=True, env=os.environ, timeout=300)


def wait_for(url: str, server: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        assert server.poll() is None, "the server ended"
        try:
            urllib.request.urlopen(url, timeout=5).close()
            return
        except OSError:
            time.sleep(0.5)
    raise AssertionError("the server did not start")


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with playwright.sync_playwright() as driver:
        opened = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield opened
        opened.close()


@pytest.fixture(params=[(1280, "en-US"), (390, "zh-HK")], ids=["wide-en", "narrow-zh"])
def page(request: pytest.FixtureRequest, browser: Any, served: Served) -> Iterator[Any]:
    """The page, which must not complain, nor fetch anything from elsewhere."""
    width, locale = request.param
    opened = browser.new_page(viewport={"width": width, "height": 900}, locale=locale)
    opened.set_default_timeout(PATIENCE_SECONDS * 1000)
    faults: list[str] = []
    opened.on("console", lambda message: faults.append(message.text) if message.type == "error" else None)
    opened.on("request", lambda sent: faults.append(sent.url) if foreign(sent.url) else None)
    opened.goto(served.url)
    opened.wait_for_selector("#picture input[type=file]", state="attached")
    yield opened
    assert not opened.evaluate("document.documentElement.scrollWidth > innerWidth"), "wider than the window"
    assert not faults
    opened.close()


def foreign(url: str) -> bool:
    return not url.startswith(("http://127.0.0.1", "ws://127.0.0.1", "data:", "blob:"))


def is_chinese(page: Any) -> bool:
    """Whether the page is in Chinese, its tabs and, on their tab, its speakers alike."""
    tabs = [tab.inner_text() for tab in page.get_by_role("tab").all()]
    assert tabs in (["Picture", "Dialogue", "Batch", "Decisions"], ["图片", "对话", "批量", "决策"])
    speakers = [name.strip() for name in page.locator("#speaker label").all_text_contents()]
    assert speakers in ([], ["User", "Agent"] if tabs[0] == "Picture" else ["用户", "客服"])
    return tabs[0] == "图片"


def tab(page: Any, place: int) -> None:
    page.get_by_role("tab").nth(place).click()


def test_a_picture_shows_its_label_votes_and_text(page: Any, served: Served) -> None:
    record = next(r for r in json.loads(served.data.read_text()) if r["instruction"].startswith("Picture 1"))
    page.set_input_files("#picture input[type=file]", IMAGES / record["image"][0])
    page.wait_for_selector("#picture-answer .mire-label")
    said = page.inner_text("#picture-answer")
    assert "screen_text" in said
    assert "1 / 3" in said
    boxes = page.evaluate(
        "[...document.querySelectorAll('.mire-picture i')].map(i => [i.getBoundingClientRect(), "
        "i.parentElement.getBoundingClientRect()]).every(([a, b]) => a.left >= b.left - 2 && a.right <= b.right + 2)"
    )
    assert boxes, "a box of text stands outside the picture"


@pytest.mark.parametrize(("locale", "word"), [("en-US", "Route"), ("zh-CN", "路由")])
def test_with_a_key_the_page_works_and_without_it_is_shut(browser: Any, locked: str, locale: str, word: str) -> None:
    with pytest.raises(urllib.error.HTTPError, match="HTTP Error 401") as refused:
        urllib.request.urlopen(locked, timeout=PATIENCE_SECONDS)
    refused.value.close()
    opened = browser.new_page(locale=locale, http_credentials={"username": "anybody", "password": KEY})
    opened.set_default_timeout(PATIENCE_SECONDS * 1000)
    opened.goto(locked)
    tab(opened, 1)
    opened.fill("#dialogue textarea", "用户: 这个会\n生锈吗")
    opened.click("#ask-dialogue")
    opened.wait_for_selector("#dialogue-answer .mire-label")
    assert word in opened.inner_text("#dialogue-answer")
    assert opened.inner_text(".mire-turn.user") == "这个会\n生锈吗"
    opened.close()


def test_a_dialogue_is_classified_and_escaped(page: Any) -> None:
    tab(page, 1)
    page.fill("#dialogue textarea", "用户: <script>document.title='x'</script>这个会生锈吗\n客服: 亲，请稍等")
    page.click("#ask-dialogue")
    page.wait_for_selector("#dialogue-answer .mire-label")
    assert "dialogue_text" in page.inner_text("#dialogue-answer")
    assert page.title() == "MIRE"


def test_a_dialogue_with_a_picture_is_built_turn_by_turn(page: Any, served: Served) -> None:
    record = next(r for r in json.loads(served.data.read_text()) if r["instruction"].startswith("Picture 1"))
    tab(page, 1)
    page.set_input_files("#turn input[type=file]", IMAGES / record["image"][0])
    page.wait_for_selector("#turn .thumbnail-item")
    page.fill("#turn textarea", "这个会生锈吗")
    page.press("#turn textarea", "Enter")
    page.wait_for_function("document.querySelector('#dialogue textarea').value.includes('会生锈')")
    page.locator("#speaker label").nth(1).click()
    page.fill("#turn textarea", "亲，请稍等")
    page.press("#turn textarea", "Enter")
    page.wait_for_function("document.querySelector('#dialogue textarea').value.includes('客服')")
    assert page.input_value("#dialogue textarea") == "用户: <image> 这个会生锈吗\n客服: 亲，请稍等"
    page.click("#ask-dialogue")
    page.wait_for_selector("#dialogue-answer .mire-label")
    assert page.locator(".mire-turn.user img").count() == 1
    assert page.inner_text(".mire-turn.agent") == "亲，请稍等"


def test_nothing_lies_over_anything_else(page: Any, served: Served) -> None:
    record = next(r for r in json.loads(served.data.read_text()) if r["instruction"].startswith("Picture 1"))
    page.set_input_files("#picture input[type=file]", IMAGES / record["image"][0])
    page.wait_for_selector("#picture-answer .mire-label")
    overlapping = page.evaluate(
        "(() => { const cards = [...document.querySelectorAll('.mire-card, #ask-picture, .gallery-item')]"
        ".map(e => e.getBoundingClientRect()).filter(r => r.width);"
        "return cards.filter((a, i) => cards.some((b, j) => i < j && a.left < b.right - 1 && b.left < a.right - 1 "
        "&& a.top < b.bottom - 1 && b.top < a.bottom - 1)).length })()"
    )
    assert overlapping == 0
    spilling = page.evaluate(
        "[...document.querySelectorAll('.mire-card *')].filter(e => e.scrollWidth > e.clientWidth + 1 && e.clientWidth)"
        ".map(e => e.className)"
    )
    assert spilling == []


@pytest.mark.parametrize(("locale", "width", "word"), [("en-US", 1280, "go to people"), ("zh-CN", 390, "转人工")])
def test_a_slider_shows_what_goes_to_people(browser: Any, served: Served, locale: str, width: int, word: str) -> None:
    opened = browser.new_page(locale=locale, viewport={"width": width, "height": 800})
    opened.set_default_timeout(PATIENCE_SECONDS * 1000)
    opened.goto(served.url)
    tab(opened, 3)
    opened.wait_for_selector("#decisions .mire-label")
    assert word in opened.inner_text("#decisions")
    assert opened.evaluate("document.documentElement.scrollWidth <= innerWidth")
    opened.close()


def test_an_example_is_one_click(page: Any) -> None:
    tab(page, 1)
    page.locator("button.gallery-item:visible").first.click()
    page.wait_for_selector("#dialogue-answer .mire-label")
    assert "客服" in page.input_value("#dialogue textarea")


def test_pictures_that_do_not_match_are_refused_politely(page: Any) -> None:
    tab(page, 1)
    page.fill("#dialogue textarea", "用户: <image>\n客服: 亲")
    page.click("#ask-dialogue")
    page.wait_for_selector("#dialogue-answer .mire-refused")
    said = "有 1 个标记、0 张图片" if is_chinese(page) else "1 tags and 0 pictures"
    assert said in page.inner_text("#dialogue-answer")


def test_a_broken_file_is_refused_politely(page: Any, tmp_path: Path) -> None:
    (tmp_path / "broken.png").write_bytes(b"no picture")
    page.set_input_files("#picture input[type=file]", tmp_path / "broken.png")
    page.wait_for_selector("#picture-answer .mire-refused")
    assert ("无法读取" if is_chinese(page) else "cannot be read") in page.inner_text("#picture-answer")


def test_the_batch_tab_gives_the_command_lines_csv(page: Any, served: Served, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "images.zip", "w") as archive:
        for record in json.loads(served.data.read_text()):
            for name in record["image"]:
                archive.write(IMAGES / name, f"images/{name}")
    tab(page, 2)
    page.set_input_files("#data input[type=file]", served.data)
    page.set_input_files("#zip input[type=file]", tmp_path / "images.zip")
    page.wait_for_function("document.querySelectorAll('#data input[type=file], #zip input[type=file]').length === 0")
    page.click("#start")
    page.wait_for_selector("#csv a[download]")
    with page.expect_download() as download:
        page.locator("#csv a[download]").first.click()
    out = tmp_path / "cli.csv"
    command("ensemble.predict", "--data", str(served.data), "--images", str(IMAGES), "--panel", str(served.panel),
            "--out", str(out))  # fmt: skip
    assert Path(download.value.path()).read_bytes() == out.read_bytes()
    assert len(list(csv.DictReader(out.open(encoding="utf-8-sig")))) == 6


def test_no_text_of_a_picture_stays_in_the_cache(page: Any, served: Served) -> None:
    record = next(r for r in json.loads(served.data.read_text()) if r["instruction"].startswith("Picture 1"))
    page.set_input_files("#picture input[type=file]", IMAGES / record["image"][0])
    page.wait_for_selector("#picture-answer .mire-label")
    assert list((served.panel.parent / "cache").rglob("*")) == []


@pytest.mark.parametrize("path", ["/etc/passwd", "../../../etc/passwd", "settings.json"])
def test_no_file_of_the_server_can_be_read(served: Served, path: str) -> None:
    with pytest.raises(urllib.error.HTTPError, match="HTTP Error 4") as refused:
        urllib.request.urlopen(f"{served.url}/gradio_api/file={path}", timeout=10)
    refused.value.close()


def test_the_requests_that_the_documentation_shows_are_answered(served: Served, tmp_path: Path) -> None:
    page = (ROOT / "docs" / "SERVING.md").read_text(encoding="utf-8").replace("\\\n", " ")
    shown = [line for line in page.splitlines() if line.startswith("curl ")]
    record = next(r for r in json.loads(served.data.read_text()) if r["instruction"].startswith("Picture 1"))
    shutil.copy(IMAGES / record["image"][0], tmp_path / "screen.png")
    answers = []
    for line in shown:
        words = shlex.split(line.replace("http://127.0.0.1:7860", served.url))
        done = subprocess.run([*words, "--silent", "--fail"], cwd=tmp_path, check=True, capture_output=True, timeout=60)
        answers.append(json.loads(done.stdout))
    assert [answer["route"]["task"] for answer in answers] == ["image", "dialogue"]
    assert all(answer["top"][0]["label"] == answer["label"] for answer in answers)
