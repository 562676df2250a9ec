"""The page's words, in English and Chinese, and what the rest of the program says, in Chinese."""

import json
import re
from functools import lru_cache
from importlib import resources

WORDS: dict[str, dict[str, str]] = {
    "en": {
        "about": "Drop a screenshot or write a dialogue: see the label, each voter's answer, the calls used, the text.",
        "picture_tab": "Picture",
        "dialogue_tab": "Dialogue",
        "batch_tab": "Batch",
        "picture": "Screenshot or photo",
        "dialogue": "Dialogue, one turn per line; <image> stands for a picture",
        "pictures": "Its pictures, in order",
        "examples": "Examples",
        "ask": "Classify",
        "data": "Samples (CSV, XLSX, or the challenge's JSON)",
        "zip": "Pictures, if any (zip)",
        "start": "Predict all",
        "csv": "Submission (CSV), and one for Excel",
        "route": "Route",
        "abstained": "nothing to go by",
        "weight": "weight",
        "booked": "Booked",
        "calls": "model calls",
        "tokens": "output tokens",
        "read": "Text that was read",
        "as_list": "as a list",
        "as_read": "The dialogue as it was read",
        "add": "Add a turn",
        "problems": "Degraded",
        "unlike": "Unlike anything seen: a person should look.",
        "image": "image scene",
        "dialogue_task": "dialogue intent",
        "refused": "Refused",
        "hint": "The answer appears here.",
        "batch_hint": "Progress and the submission appear here. Programs use /v1/classify, described at /docs.",
        "need_data": "Choose a file of samples.",
        "done": "done",
        "degraded": "degraded",
        "comma": ", ",
        "user": "User",
        "agent": "Agent",
        "decide_tab": "Decisions",
        "precision": "At least this share of the automatic answers must be right (%)",
        "decide_hint": "Move the slider: what is answered and what goes to people, by out-of-fold answers.",
        "answered": "answered without a person",
        "to_people": "of 1,000 go to people",
        "threshold": "from probability",
        "bound": "right at least (95 % confidence)",
        "none_reaches": "no threshold reaches it:",
        "no_decisions": "This panel has no out-of-fold answers, or the server is busy.",
    },
    "zh": {
        "about": "拖入截图或输入对话，即可查看标签、各子模型的判断、调用开销和 OCR 文字。",
        "picture_tab": "图片",
        "dialogue_tab": "对话",
        "batch_tab": "批量",
        "picture": "截图或照片",
        "dialogue": "对话，每行一句；<image> 表示一张图片",
        "pictures": "对话中的图片（按顺序）",
        "examples": "示例",
        "ask": "识别",
        "data": "样本（CSV、XLSX 或比赛 JSON）",
        "zip": "图片（zip，可不选）",
        "start": "开始批量预测",
        "csv": "提交文件（CSV），另有 Excel 专用版",
        "route": "路由",
        "abstained": "无可用信息，未参与投票",
        "weight": "权重",
        "booked": "调用预算（赛题限额）",
        "calls": "模型调用",
        "tokens": "输出 token",
        "read": "OCR 文字",
        "as_list": "列表",
        "as_read": "实际送入模型的对话",
        "add": "添加一句",
        "problems": "结果仅供参考",
        "unlike": "与已知样本差异过大，建议人工复核。",
        "image": "图片场景",
        "dialogue_task": "对话意图",
        "refused": "无法处理",
        "hint": "结果将显示在这里。",
        "batch_hint": "进度和提交文件将显示在这里。程序请使用 /v1/classify，说明见 /docs。",
        "need_data": "请选择样本文件。",
        "done": "完成",
        "degraded": "条结果仅供参考",
        "comma": "，",
        "user": "用户",
        "agent": "客服",
        "decide_tab": "决策",
        "precision": "自动回答的最低准确率（%）",
        "decide_hint": "拖动滑块，查看哪些可以自动回答、哪些转人工（依据模型目录中的 OOF 预测）。",
        "answered": "自动回答",
        "to_people": "条转人工（每 1,000 条）",
        "threshold": "概率不低于",
        "bound": "准确率下限（置信度 95%）",
        "none_reaches": "没有阈值能达到，全部转人工；",
        "no_decisions": "该模型目录没有 OOF 预测，或服务器繁忙。",
    },
}


def words_for(languages: str | None) -> dict[str, str]:
    """The words for a browser's ``Accept-Language``: Chinese if that comes first, else English."""
    return WORDS["zh" if (languages or "").strip().lower().startswith("zh") else "en"]


def told(message: str, words: dict[str, str]) -> str:
    """A refusal, or a reason for a route or a degraded answer, in the language of ``words``; each line by itself.

    A message that ``messages.zh.json`` does not know, as a library's, stays as it is.
    """
    return message if words is not WORDS["zh"] else "\n".join(map(_in_chinese, message.split("\n")))


def _in_chinese(line: str) -> str:
    text = line.strip()
    for pattern, chinese in _messages():
        if found := pattern.fullmatch(text):
            return line.replace(text, chinese.format(*map(_in_chinese, found.groups())))
    return line


@lru_cache
def _messages() -> list[tuple[re.Pattern[str], str]]:
    """What each message looks like, and its Chinese; those with the most words of their own first."""
    file = resources.files("ensemble.serve.page").joinpath("messages.zh.json")
    known = dict(json.loads(file.read_text(encoding="utf-8")))
    order = sorted(known, key=lambda text: -len(text.replace("{}", "")))
    return [(re.compile(re.escape(text).replace(r"\{\}", "(.*?)")), known[text]) for text in order]
