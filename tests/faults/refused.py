"""Every way in which a data file is refused before the work starts, with the words that must be said."""

import json
from typing import Any

GOOD = {"id": "a", "instruction": "用户: 会生锈吗", "input": "", "output": "", "image": []}


def one(**changes: Any) -> bytes:
    return _file([GOOD | changes])


def without(key: str) -> bytes:
    return _file([{name: value for name, value in GOOD.items() if name != key}])


def chat(*roles: str, content: Any = "判断") -> bytes:
    return _file([{"id": "a", "messages": [{"role": role, "content": content} for role in roles]}])


def _file(records: Any) -> bytes:
    return json.dumps(records, ensure_ascii=True).encode()


FILES: dict[str, tuple[bytes, str]] = {
    "nothing": (b"", "holds no sample"),
    "blank lines": (b"\n \n", "holds no sample"),
    "an empty list": (b"[]", "holds no sample"),
    "half a file": (_file([GOOD, GOOD])[:-30], "is not valid JSON: "),
    "no comma": (b'[{"id": "a" "b"}]', "(line 1, column 13)"),
    "two broken lines": (_file(GOOD) + b"\n{\n" + b'{"id": 1\n', "2 faults"),
    "a csv": (b"id,instruction\n1,x\n", "is not valid JSON: "),
    "gbk": ('[{"id": "店"}]'.encode("gbk"), "must be UTF-8: "),
    "utf-16": ('[{"id": "a"}]'.encode("utf-16"), "must be UTF-8: "),
    "binary": (bytes(range(256)), "must be UTF-8: "),
    "nested without end": (b"[" * 100_000, "is not a data file: "),
    "a number without end": (b'[{"id": ' + b"9" * 5000 + b"}]", "is not a data file: "),
    "a list in the list": (b"[[1]]", "record 1: a record must be an object, got list"),
    "a word": (b'["a"]', "record 1: a record must be an object, got str"),
    "null": (b"[null]", "record 1: a record must be an object, got NoneType"),
    "one object over lines": (b'{\n"id": "a"\n}', "is not valid JSON: "),
    "no id": (without("id"), "record 1: missing 'id'"),
    "an empty id": (one(id=""), "'id' must be a non-empty string, got ''"),
    "an id that is a list": (one(id=["a"]), "'id' must be a non-empty string, got ['a']"),
    "an id that is true": (one(id=True), "'id' must be a non-empty string, got True"),
    "an id with a line break": (one(id="a\nb"), "'id' must be text without control characters and lone surrogates"),
    "an id with a nul": (one(id="a\0"), "'id' must be text without control characters and lone surrogates"),
    "an id that is no text": (one(id="\ud800"), "'id' must be text without control characters and lone surrogates"),
    "an id twice": (_file([GOOD, GOOD]), "record 2: ids must be unique, 'a' is also record 1"),
    "a number and its text as ids": (_file([GOOD | {"id": 1}, GOOD | {"id": "1"}]), "ids must be unique, '1'"),
    "no instruction": (without("instruction"), "record 1, id 'a': missing 'instruction'"),
    "an instruction that is a number": (one(instruction=5), "'instruction' must be a string, got int"),
    "an instruction that is a list": (one(instruction=["x"]), "'instruction' must be a string, got list"),
    "an input that is an object": (one(input={}), "'input' must be a string, got dict"),
    "an output that is a list": (one(output=["x"]), "'output' must be a string, got list"),
    "no image column": (
        _file([{"id": "a", "instruction": "Picture 1: <image>"}]), "record 1, id 'a': missing 'image'"
    ),
    "a number as image": (one(image=5), "'image' must be a list of file names, got 5"),
    "numbers as images": (one(image=[1]), "'image' must be a list of file names, got [1]"),
    "an empty name": (one(image=[""]), "'image' must be a list of file names, got ['']"),
    "an object as image": (one(image={"a": 1}), "'image' must be a list of file names"),
    "an unknown role": (chat("tool"), "must come from system, user/human or assistant/gpt, got 'tool'"),
    "two questions": (chat("user", "user"), "one user message and at most one answer, got 2 and 0"),
    "two answers": (chat("user", "assistant", "assistant"), "one user message and at most one answer, got 1 and 2"),
    "no question": (chat("assistant"), "one user message and at most one answer, got 0 and 1"),
    "messages that are text": (_file([{"id": "a", "messages": "hi"}]), "'messages' must be a list of objects, got str"),
    "messages without objects": (_file([{"id": "a", "messages": ["hi"]}]), "'messages' must be a list of objects"),
    "parts in a message": (chat("user", content=[{"type": "text"}]), "'content' must be a string, got list"),
    "many faults": (_file([{"id": str(n)} for n in range(30)]), "30 faults"),
}  # fmt: skip
"""43 files: their bytes, and what the error says."""
