"""Command lines over random combinations of broken files: data, pictures, panels, settings, outputs."""

import json
import random
import shutil
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

import broken
import numpy as np
import refused
import yaml
from bench import Bench
from safetensors.numpy import save_file

from experts.qwen2vl.adapter import CONFIG, WEIGHTS, Manifest, write_manifest

ODD: tuple[Any, ...] = (
    None, True, 0, -1, 1e308, 10**30, float("nan"), "", "x", "\0", "\ud800", "../..", [], [[]], {}, {"a": []},
    "y" * 5000,
)  # fmt: skip
BYTES = (
    b"",
    b"\0",
    b"{",
    b"[]",
    b"null",
    b"\xff\xfe",
    b"x\n" * 50,
    b'{"a": 1}',
    b"version https://git-lfs.github.com/spec/v1\n",
)

MANIFEST = Manifest(
    task="image", base="/nowhere", base_fingerprint="0" * 12, layout="compact", taxonomy="0" * 12, min_pixels=3136,
    max_pixels=9408, max_tokens=1024,
)  # fmt: skip


class Workshop:
    """Makes command lines in a folder, by a random generator; ``bench`` lends the sound files."""

    def __init__(self, bench: Bench, root: Path, dice: random.Random) -> None:
        self.bench, self.root, self.dice, self.numbers = bench, root, dice, count()
        self.records: list[dict[str, Any]] = json.loads(bench.data.read_text(encoding="utf-8"))
        self.share = dice.choice((0.3, 0.9, 0.9))
        self.settings: dict[str, Any] = yaml.safe_load((bench.root / "tiny.yaml").read_text(encoding="utf-8"))

    def command(self) -> tuple[str, list[str]]:
        """A command's module and its arguments."""
        lines = self.commands()
        name = self.dice.choice(sorted(lines))
        return name, lines[name]

    def commands(self) -> dict[str, list[str]]:
        """For each command's module arguments that were just made."""
        data, images, panel, out = self.data(), self.images(), self.panel(), self.out()
        files, adapter = ["--data", data, "--images", images], self.adapter()
        task = self.dice.choice(("image", "dialogue"))
        return {
            "mire.validate": [*files, "--config", self.config()],
            "router.route": ["--data", data],
            "ensemble.predict": [
                *files,
                "--panel",
                panel,
                "--out",
                out,
                *self.some("--strict", "--json", "--for-excel"),
            ],
            "ensemble.score": ["--truth", data, "--submission", self.submission()],
            "ensemble.check_submission": ["--data", data, "--submission", self.submission(), "--config", self.config()],
            "ensemble.ablate": [*files, "--panel", panel, "--out", out],
            "ensemble.rules": ["--panel", panel],
            "ensemble.compare": [self.submission(), panel, "--truth", data, "--images", images, "--out", out],
            "ensemble.sweep": [task, *files, "--config", self.config(), "--run", "base", "--out", out],
            "ensemble.explain": ["--panel", panel, *self.dice.choice(([], files, files[:2]))],
            "ensemble.audit": [*files, "--panel", panel, "--out", out],
            "ensemble.fit": ["--panel", panel, *self.dice.choice(([], ["--task", task, "--adapter", adapter, *files]))],
            "ensemble.threshold": ["--panel", panel, "--precision", self.dice.choice(("0.9", "0", "1.5", "nan", "x"))],
            "ensemble.drift": ["--panel", panel, "--scores", self.submission(), "--out", out],
            "ensemble.review": ["--tasks", self.data(), "--data", data, "--out", out],
            "ensemble.export": ["--panel", panel, "--task", task, "--out", out],
            "ensemble.train": [self.dice.choice((task, "all")), *files, "--panel", panel, "--config", self.config()],
            "ensemble.pseudo_label": [*files, "--unlabelled", self.data(), "--panel", panel, "--out", out],
            "ensemble.serve.__main__": ["--panel", panel, "--port", self.dice.choice(("-1", "0", "70000", "0", "0"))],
            "ensemble.labels.__main__": self.dice.choice(
                (
                    ["--task", task, "--from", self.labels(), "--out", out],
                    ["suggest", "--config", self.config(), "--out", out],
                )
            ),
            "experts.qwen2vl.convert": ["--adapter", adapter, "--out", out, "--task", task, "--config", self.config()],
            "experts.qwen2vl.merge": [adapter, self.adapter(), "--out", out],
            "mire.doctor.__main__": ["--panel", panel] if self.dice.random() < 0.5 else ["--config", self.config()],
        }

    def some(self, *words: str) -> list[str]:
        return [word for word in words if self.dice.random() < 0.2]

    def pick(self, sound: Callable[[], Path], *ways: Callable[[], Path]) -> str:
        """A sound file or one of the broken ones; in most command lines one file is broken at most."""
        return str((sound if self.dice.random() < self.share else self.dice.choice(ways))())

    def data(self) -> str:
        return self.pick(
            lambda: self.bench.data, self.refused_data, *[self.bent_data] * 3, self.broken_samples,
            lambda: self.damaged(self.bench.data), self.nothing,
        )  # fmt: skip

    def refused_data(self) -> Path:
        return self.file("data.json", self.dice.choice([content for content, _ in refused.FILES.values()]))

    def broken_samples(self) -> Path:
        cases = self.dice.sample(broken.samples(), 6)
        return self.file("data.json", json.dumps([{"id": f"b{n}", **case.record} for n, case in enumerate(cases)]))

    def bent_data(self) -> Path:
        records = json.loads(json.dumps(self.dice.sample(self.records, 4)))
        for _ in range(self.dice.randint(1, 3)):
            records = self.bent(records)
        return self.file("data.json", json.dumps(records))

    def labels(self) -> str:
        return self.pick(self.sound_labels, lambda: self.damaged(self.sound_labels()), self.refused_data, self.nothing)

    def sound_labels(self) -> Path:
        return self.file(
            "labels.csv", "name,description,examples\n开发票,用户要发票,发票什么时候开\n改地址,用户要改地址,\n"
        )

    def images(self) -> str:
        return self.pick(lambda: self.bench.images, lambda: self.folder("images"), self.nothing)

    def panel(self) -> str:
        return self.pick(self.copy, *[self.bent_panel] * 9, self.nothing)

    def adapter(self) -> str:
        return self.pick(self.sound_adapter, *[lambda: self.bend_files(self.sound_adapter())] * 9, self.nothing)

    def sound_adapter(self) -> Path:
        """What PEFT writes, as far as it is read before the base is."""
        folder = self.folder("adapter")
        config = {"peft_type": "LORA", "r": 2, "lora_alpha": 4, "target_modules": ["q_proj"], "init_lora_weights": True}
        name = "base_model.model.model.language_model.layers.0.self_attn.q_proj.lora_{}.weight"
        save_file({name.format("A"): np.ones((2, 3)), name.format("B"): np.ones((4, 2))}, folder / WEIGHTS)
        (folder / CONFIG).write_text(json.dumps(config))
        write_manifest(MANIFEST, folder)
        return folder

    def copy(self) -> Path:
        return Path(shutil.copytree(self.bench.panel, self.name("panel")))

    def bent_panel(self) -> Path:
        """A copy in which one to three files are damaged, missing, or say something else."""
        return self.bend_files(self.copy())

    def bend_files(self, folder: Path) -> Path:
        files = sorted(path for path in folder.rglob("*") if path.is_file() and path.suffix != ".lock")
        for path in self.dice.sample(files, self.dice.randint(1, min(3, len(files)))):
            way = self.dice.choice(("drop", "damage", "bend", "bend", "folder", "loop"))
            if way == "bend" and path.suffix == ".json":
                path.write_text(json.dumps(self.bent(json.loads(path.read_text(encoding="utf-8")))))
            elif way in ("bend", "damage"):
                path.write_bytes(self.damage(path.read_bytes()))
            else:
                path.unlink()
                if way == "folder":
                    path.mkdir()
                elif way == "loop":
                    path.symlink_to(path)
        return folder

    def config(self) -> str:
        if self.dice.random() < 0.1:
            return self.dice.choice(("", "nobody", "x" * 300))
        sound = self.bench.root / "tiny.yaml"
        return self.pick(lambda: sound, self.bent_config, self.bent_config, lambda: self.damaged(sound), self.nothing)

    def bent_config(self) -> Path:
        return self.file("c.yaml", json.dumps(self.bent(self.settings)))

    def submission(self) -> str:
        rows = [f"{record['id']},{record['output']}" for record in self.records]
        whole = self.file("s.csv", "\n".join(["id,predict", *rows]))
        return self.pick(lambda: whole, lambda: self.damaged(whole), lambda: self.damaged(whole), self.nothing)

    def out(self) -> str:
        new = self.name("out")
        return self.pick(
            lambda: new, lambda: new / "deep" / "out", lambda: self.file("file", b"old") / "out", self.nothing,
            lambda: Path("/dev/null"), lambda: Path("/dev/full"), lambda: Path("/proc/out"), lambda: Path("x" * 300),
        )  # fmt: skip

    def nothing(self) -> Path:
        """No such file, a folder, a link to itself, a device, bytes that are nothing."""
        loop = self.name("loop")
        loop.symlink_to(loop)
        content = self.dice.choice(BYTES)
        return self.dice.choice(
            (self.root / "none", self.folder("empty"), loop, Path("/dev/null"), self.file("any", content))
        )

    def bent(self, value: Any) -> Any:
        """A copy in which one place, anywhere inside, holds something else, or is gone."""
        if isinstance(value, dict) and value and self.dice.random() < 0.9:
            key = self.dice.choice(sorted(value))
            if self.dice.random() < 0.15:
                return {name: inner for name, inner in value.items() if name != key}
            return value | {key: self.bent(value[key])}
        if isinstance(value, list) and value and self.dice.random() < 0.9:
            place = self.dice.randrange(len(value))
            return [*value[:place], self.bent(value[place]), *value[place + 1 :]]
        return self.dice.choice(ODD)

    def damaged(self, path: Path) -> Path:
        return self.file(path.name, self.damage(path.read_bytes()))

    def damage(self, content: bytes) -> bytes:
        """Cut short, bytes changed or inserted, or something else altogether."""
        place = self.dice.randrange(len(content) + 1)
        noise = self.dice.randbytes(self.dice.randint(0, 4))
        start, rest = content[:place] + noise, content[place:]
        return self.dice.choice((content[:place], start + rest[len(noise) :], start + rest, self.dice.choice(BYTES)))

    def file(self, name: str, content: str | bytes) -> Path:
        path = self.name(name)
        path.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8", "surrogatepass"))
        return path

    def folder(self, name: str) -> Path:
        path = self.name(name)
        path.mkdir()
        return path

    def name(self, name: str) -> Path:
        """A path in the folder that was not given out before."""
        return self.root / f"{next(self.numbers)}-{name}"
