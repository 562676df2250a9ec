import base64
import html.parser
import io
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from ensemble.report.ablation_result import AblationResult
from ensemble.report.page import render, write_report
from mire.privacy.thumbnails import Thumbnails


def system(*voters: str, f1: float = 0.5) -> dict[str, Any]:
    return {
        "voters": list(voters),
        "n": 4,
        "f1": f1,
        **dict.fromkeys(("macro_f1", "accuracy", "precision", "recall"), 0.25),
        "low": 0.125,
        "high": 0.75,
        "calls": 1,
        "output_tokens": 9,
        "milliseconds": 12.5,
        "versus_panel": {"low": -0.0625, "high": 0.03125},
    }


@pytest.fixture
def body(tmp_path: Path) -> dict[str, Any]:
    """What ``ablation.json`` holds."""
    Image.new("RGB", (400, 900), "red").save(tmp_path / "a.png")
    mistake = {
        "id": "x1", "label": "店铺页面", "predict": "退款页面", "probability": 0.9,
        "images": [str(tmp_path / "a.png"), str(tmp_path / "gone.png")], "hidden": [[[0.0, 0.0, 0.5, 1.0]], None],
        "turns": [["user", "<script>alert(1)</script>"], ["agent", ""]],
        "votes": {"a": [["退款页面", 0.9]], "b": []}, "words": {"a": [["极速退", 0.5]]}, "read": ["<b>同意退款</b>"],
    }  # fmt: skip
    ballots = [{"voters": {n: {"weight": w, "temperature": 2.0} for n, w in pair}} for pair in
               ([("a", 0.2), ("b", 0.8)], [("a", 0.4), ("b", 0.6)])]  # fmt: skip
    bins = [{"low": 0.8, "high": 0.9, "n": 4, "confidence": 0.875, "accuracy": 0.5}]
    calibration = {
        "error_before": 0.4375,
        "error_after": 0.375,
        "error_by_chance": {"mean": 0.1, "high": 0.2},
        "before": bins,
        "after": bins,
    }
    calibration["coverage"] = [(0.5, 1.0), (1.0, 0.5)]
    step = {"voter": "b", "f1": 0.6875, "change": 0.0625, "low": -0.125, "high": 0.25}
    first = step | {"voter": "a"}
    task = {
        "contributions": {"left_out": [first, step], "added": [first | {"f1": 0.625}, step]},
        "calibration": calibration, "n": 4,
        "votes": "fresh", "systems": [system("a", f1=0.625), system("b"), system("a", "b", f1=0.6875)],
        "weights": ballots, "labels": [{"name": n, "gloss": "g", "n": 2, "f1": 0.5} for n in ("店铺页面", "退款页面")],
        "confusion": [[1, 1], [0, 2]], "mistakes": [mistake],
        "thresholds": [
            {"precision": 0.9, "confidence": 0.95, "labels": {},
             "task": {"threshold": 0.625, "coverage": 0.75, "bound": 0.912, "n": 40}},
            {"precision": 0.99, "confidence": 0.95, "labels": {},
             "task": {"threshold": None, "coverage": 0.0, "bound": 0.0, "n": 40}},
        ],
        "alike": [["店铺页面", "退款页面", 0.625]],
        "learning": {
            "voters": ["a"], "n": 4,
            "points": [{"most": most, "f1": f1, "low": 0.1, "high": 0.9, "versus_before": step} for most, f1, step in
                       ((1, 0.3125, None), (None, 0.5, {"low": -0.25, "high": 0.375}))],
            "labels": [{"name": "退款页面", "n": 2, "f1": 0.5}, {"name": "店铺页面", "n": 0, "f1": None}],
        },
    }  # fmt: skip
    mean = {"name": "panel", "n": 8, "f1": 0.4375, "low": 0.25, "high": 0.5}
    mean = [mean | {"calls": 0.5, "output_tokens": 9.5, "milliseconds": None}]
    router = {
        "counts": {"image": {"image": 4, "dialogue": 1}, "dialogue": {"image": 0, "dialogue": 4}},
        "misrouted": ["x9"],
    }
    return {"configuration": "nano", "router": router, "mean": mean, "tasks": {"image": task}}


@pytest.fixture
def result(body: dict[str, Any]) -> AblationResult:
    return AblationResult.model_validate(body)


def test_the_json_is_the_dump_of_the_result(body: dict[str, Any], result: AblationResult, tmp_path: Path) -> None:
    write_report(result, tmp_path)
    text = (tmp_path / "ablation.json").read_text(encoding="utf-8")
    assert AblationResult.model_validate_json(text) == result
    assert list(json.loads(text)) == ["configuration", "router", "mean", "tasks"]
    task, system = json.loads(text)["tasks"]["image"], body["tasks"]["image"]["systems"][0]
    assert list(task) == ["n", "votes", "systems", "calibration", "weights", "labels", "confusion", "mistakes",
                          "contributions", "thresholds", "unlike", "learning", "alike"]  # fmt: skip
    assert task["systems"][0] == system and list(task["systems"][0]) == list(system)


def test_the_panel_is_all_voters_wherever_they_stand(body: dict[str, Any]) -> None:
    body["tasks"]["image"]["systems"].reverse()
    task = AblationResult.model_validate(body).tasks["image"]
    assert (task.panel.voters, task.best_voter.voters) == (("a", "b"), ("a",))


def test_the_figures_are_there(result: AblationResult) -> None:
    page = render(result)
    assert page.startswith("<!DOCTYPE html>")
    for text in ("0.438", "a + b (panel)", "0.688", "+0.062", "weight 0.30", "weight 0.70", "id x1", "abstained",
                 "0.438 before the temperatures", "-0.062 to +0.031"):  # fmt: skip
        assert text in page


def test_the_report_is_chinese_throughout(result: AblationResult) -> None:
    page = render(result, "zh")
    assert '<html lang="zh">' in page
    shown = re.sub(r"<(style|svg|script).*?</\1>|<[^>]*>", " ", page, flags=re.S)
    words = set(re.findall(r"[A-Za-z]{2,}", shown))
    quoted = {"show", "private", "script", "alert", "lt", "gt", "mire", "threshold"}
    systems = (
        "OpenAI Decisions TypeSafe Jev Cloudflare Clef flash Perplexity pplx decider Amazon Strands Decider Liquid laya"
    )
    published = systems.split()
    assert words <= {"MIRE", "nano", "F1", "ECE", "Wilson", "OOF", "OCR", "token", "int", *quoted, *published}
    for text in (
        "两个任务加权 F1 的平均",
        "95% 区间 0.250 至 0.500",
        "a + b（整体）",
        "权重 0.30",
        "未参与投票",
        "预测概率",
    ):
        assert text in page


def test_the_decision_view(body: dict[str, Any]) -> None:
    body["tasks"]["image"]["thresholds"], two = [], body["tasks"]["image"]["thresholds"]
    body["tasks"]["dialogue"] = body["tasks"]["image"] | {"thresholds": two}
    rows = re.findall(r"<tr><td>dialogue</td>.*?</tr>", render(AblationResult.model_validate(body)), re.DOTALL)
    cells = [re.sub(r"<[^>]+>", " ", row).split() for row in rows]
    assert cells[0] == ["dialogue", "90", "%", "0.625", "75.0", "%", "0.912", "40", "250"]
    assert cells[1] == ["dialogue", "99", "%", "none", "reaches", "it", "0", "%", "40", "1000"]
    assert ['data-review="250.0"' in rows[0], 'data-review="1000.0"' in rows[1]] == [True, True]


def test_what_customers_wrote_is_escaped(result: AblationResult) -> None:
    page = render(result)
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert(1)" in page


def test_nothing_is_fetched_and_no_folder_is_told(result: AblationResult, tmp_path: Path) -> None:
    page = render(result)
    assert "http:" not in page and "https:" not in page
    assert str(tmp_path) not in page
    assert page.count("data:image/jpeg;base64,") == 1


def shown_picture(uri: str | None) -> Image.Image:
    assert uri is not None
    return Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2])))


def test_private_parts_of_a_picture_are_filled(result: AblationResult, tmp_path: Path) -> None:
    (uri,) = re.findall(r"data:image/jpeg;base64,[^\"]+", render(result))
    left, right = (shown_picture(uri).getpixel((x, 100)) for x in (20, 90))
    assert max(abs(channel - 128) for channel in left) < 20 and right[0] > 200 > 100 > right[1]


def test_a_picture_that_nobody_read_is_too_small_to_read(tmp_path: Path) -> None:
    Image.new("RGB", (1080, 2400), "red").save(tmp_path / "b.png")
    thumbnail = Thumbnails()
    assert max(shown_picture(thumbnail(str(tmp_path / "b.png"), None)).size) <= 64
    assert shown_picture(thumbnail(str(tmp_path / "b.png"), ())).size == (108, 240)


def test_the_page_is_well_formed(result: AblationResult) -> None:
    class Balance(html.parser.HTMLParser):
        open: list[str] = []

        def handle_starttag(self, tag: str, attrs: object) -> None:
            if tag not in {"meta", "link", "img"}:
                self.open.append(tag)

        def handle_startendtag(self, tag: str, attrs: object) -> None:
            pass

        def handle_endtag(self, tag: str) -> None:
            assert self.open.pop() == tag

    parser = Balance()
    parser.feed(render(result))
    assert not parser.open


def test_one_task_alone(result: AblationResult) -> None:
    page = render(result.model_copy(update={"mean": ()}))
    assert "weighted F1, image task only" in page and "0.688" in page


def test_reasons_of_a_mistake_are_shown_escaped(result: AblationResult) -> None:
    page = render(result)
    assert "极速退" in page and "&lt;b&gt;同意退款" in page


def test_what_a_sample_costs_is_told_where_it_is_known(result: AblationResult) -> None:
    rows = re.findall(r"<tr.*?</tr>", render(result), flags=re.S)
    cells = {row: re.findall(r"<td>(.*?)</td>", row, flags=re.S) for row in rows}
    (panel,) = (found for row, found in cells.items() if "a + b (panel)" in row)
    (mean,) = (found for row, found in cells.items() if "<td>panel</td>" in row)
    assert panel[-3:] == ["1", "9", "12"]
    assert mean[-3:] == ["0.5", "9.5", ""]


def test_both_charts_of_changes_are_there(result: AblationResult) -> None:
    page = render(result)
    assert page.count(">+0.062</text>") == 3 and "has 0.625" in page
    assert page.count('<svg class="plot"') == 5


def test_the_most_frequent_mistakes_are_named(result: AblationResult) -> None:
    assert '<span class="right">店铺页面</span> taken for\n<span class="wrong">退款页面</span> 1×' in render(result)


def test_the_learning_curve_and_the_labels_in_need(body: dict[str, Any]) -> None:
    page = render(AblationResult.model_validate(body))
    assert ">0.312</text>" in page and ">all</text>" in page and "F1 by -0.250 to +0.375" in page
    needs = page[page.index("Which labels need more?") :]
    assert re.findall(r'<div class="number">(\S+) <span class="soft">n (\d)', needs) == [("–", "0"), ("0.50", "2")]
    assert "店铺页面 and 退款页面 (cosine 0.62, confused 1×)" in page
    body["tasks"]["image"] |= {"learning": None, "alike": []}
    page = render(AblationResult.model_validate(body))
    assert "How many examples" not in page and "Described alike" not in page


def test_a_voter_alone_has_no_contributions(body: dict[str, Any]) -> None:
    task = body["tasks"]["image"]
    task["contributions"] = {"left_out": [], "added": task["contributions"]["added"][:1]}
    assert "What would the panel lose?" not in render(AblationResult.model_validate(body))


def test_misrouted_samples_are_told(result: AblationResult) -> None:
    assert "1 samples went to the wrong task" in render(result)
    # Wilson's interval of 8 of 9
    assert "56.5 to 98.0 % go to" in render(result)
    router = result.router.model_copy(update={"misrouted": ()})
    assert "Every sample went to the task of its label" in render(result.model_copy(update={"router": router}))


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("chromium") is None, reason="needs Chromium")
def test_a_browser_opens_it_from_a_file_and_complains_of_nothing(result: AblationResult, tmp_path: Path) -> None:
    (tmp_path / "r.html").write_text(render(result), encoding="utf-8")
    flags = [
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--enable-logging=stderr",
        f"--user-data-dir={tmp_path / 'u'}",
    ]
    command = ["chromium", *flags, "--dump-dom", (tmp_path / "r.html").as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    assert "a + b (panel)" in done.stdout
    assert "CONSOLE" not in done.stderr
