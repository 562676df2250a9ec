"""Every way in which a sample can be broken and still be answered, with the reason that must be given."""

import os
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image
from records import dialogue_instruction, image_instruction

Record = dict[str, Any]


@dataclass(frozen=True)
class Broken:
    """``reason`` is a pattern of the problem that is reported; None where nothing is wrong after all."""

    name: str
    reason: str | None
    record: Record


def picture(*names: str) -> Record:
    return {"instruction": image_instruction(), "image": list(names)}


def dialogue(*lines: str, images: tuple[str, ...] = ()) -> Record:
    return {"instruction": dialogue_instruction(*lines), "image": list(images)}


def make_pictures(folder: Path) -> None:
    """Good and bad picture files of every kind."""
    red = Image.new("RGB", (40, 60), "red")
    noise = Image.effect_noise((80, 80), 60).convert("RGB")
    red.save(folder / "good.png")
    (folder / "empty.png").write_bytes(b"")
    (folder / "text.png").write_text("no picture")
    (folder / "half.png").write_bytes((folder / "good.png").read_bytes()[:40])
    for name in ("half.jpg", "half.webp", "half.gif", "half.tiff"):
        noise.save(folder / f"whole-{name}")
        whole = (folder / f"whole-{name}").read_bytes()
        (folder / name).write_bytes(whole[: len(whole) // 2])
    red.save(folder / "really-png.jpg", format="PNG")
    exif = Image.Exif()
    exif[0x0112] = 6
    red.save(folder / "turned.jpg", exif=exif)
    for mode, name in (("CMYK", "cmyk.jpg"), ("P", "palette.png"), ("I;16", "deep.png"), ("LA", "alpha.png")):
        Image.new(mode, (30, 30)).save(folder / name)
    red.save(folder / "moving.gif", save_all=True, append_images=[noise.resize(red.size)])
    Image.new("RGB", (1, 1)).save(folder / "dot.png")
    Image.new("RGB", (1, 20000)).save(folder / "line.png")
    (folder / "bomb.png").write_bytes(_png_of(50_000, 50_000))
    (folder / "large.png").write_bytes(_png_of(12_000, 12_000))
    (folder / "postscript.png").write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n")
    (folder / "folder.png").mkdir()
    os.mkfifo(folder / "pipe.png")
    (folder / "out.png").symlink_to("/etc/hostname")
    (folder / "loop.png").symlink_to(folder / "loop.png")
    (folder / "dangling.png").symlink_to(folder / "nowhere.png")


def _png_of(width: int, height: int) -> bytes:
    """A valid head of a PNG of any size, and one row of it."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    rows = zlib.compress(bytes(width * 3 + 1))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


UNREADABLE = "cannot be read"
OUTSIDE = "does not lie inside the picture folder"

PICTURES = {
    "missing": ("none.png", "picture 'none.png' is missing"),
    "empty": ("empty.png", UNREADABLE),
    "text": ("text.png", UNREADABLE),
    "half a png": ("half.png", UNREADABLE),
    "half a jpeg": ("half.jpg", UNREADABLE),
    "half a webp": ("half.webp", UNREADABLE),
    "half a gif": ("half.gif", UNREADABLE),
    "half a tiff": ("half.tiff", UNREADABLE),
    "wrong extension": ("really-png.jpg", None),
    "turned": ("turned.jpg", None),
    "cmyk": ("cmyk.jpg", None),
    "palette": ("palette.png", None),
    "16 bit": ("deep.png", None),
    "alpha": ("alpha.png", None),
    "animated": ("moving.gif", None),
    "1x1": ("dot.png", None),
    "1x20000": ("line.png", None),
    "bomb": ("bomb.png", "2500000000 pixels.* could be decompression bomb"),
    "large": ("large.png", "12000x12000 pixels exceed the limit of 100000000"),
    "postscript": ("postscript.png", UNREADABLE),
    "folder": ("folder.png", "is missing"),
    "pipe": ("pipe.png", "is missing"),
    "link out of the folder": ("out.png", OUTSIDE),
    "link in a loop": ("loop.png", f"{OUTSIDE}|is missing"),  # as Python up to 3.12, or from 3.13 on, finds it
    "dangling link": ("dangling.png", "is missing"),
    "parent": ("../images/../../x.png", OUTSIDE),
    "absolute": ("/etc/hostname", OUTSIDE),
    "url": ("https://example.org/a.png", OUTSIDE),
    "unc": ("\\\\host\\share\\a.png", OUTSIDE),
    "nul in the name": ("a\0.png", OUTSIDE),
    "endless name": ("a" * 5000, UNREADABLE),
    "surrogate in the name": ("\ud800.png", OUTSIDE),
}

TEXTS: dict[str, tuple[Record, str | None]] = {
    "more tags than pictures": (
        dialogue("用户: <image>", "用户: <image>", images=("good.png",)),
        "2 <image> tags but 1",
    ),
    "more pictures than tags": (picture("good.png", "good.png"), "1 <image> tags but 2 pictures"),
    "no tag": (
        {"instruction": image_instruction().replace("<image>", ""), "image": ["good.png"]},
        "0 <image> tags but 1",
    ),
    "no picture": (picture(), "there is no picture"),
    "empty dialogue": (dialogue(), "the dialogue is empty"),
    "empty turns": (dialogue("用户: ", "客服: "), "the dialogue is empty"),
    "a dialogue of 12,000 tokens": (dialogue(*["用户: 这个会不会生锈呢亲"] * 1500), None),
    "40 pictures": (dialogue(*["用户: <image>"] * 40, "用户: 会生锈吗", images=("good.png",) * 40), None),
    "a nul": (dialogue("用户: 会\0生锈吗"), "1 control characters in the text"),
    "control characters": (dialogue("用户: \x1b[31m会生锈吗\x07"), "2 control characters in the text"),
    "a lone surrogate": (dialogue("用户: 会生锈吗\ud83d"), "1 lone surrogates were replaced"),
    "right to left": (dialogue("用户: \u202e会生锈吗\u202c"), "2 marks that turn the reading direction in the text"),
    "zero width": (dialogue("用户: 会\u200b生\u200d锈\ufeff吗"), None),
    "a line of a million characters": (dialogue("用户: " + "锈" * 1_000_000), None),
    "a line of digits": (dialogue("用户: " + "9" * 200_000), None),
    "only blanks": (dialogue("用户: \u3000\t  "), "the dialogue is empty"),
    "no frame": ({"instruction": "?", "image": []}, "there is no picture|the dialogue is empty"),
    "an empty instruction": ({"instruction": "", "image": []}, "there is no picture|the dialogue is empty"),
    "emoji": (dialogue("用户: 👨\u200d👩\u200d👧会生锈吗🇨🇳"), None),
}


def samples() -> list[Broken]:
    """One broken record for each way; ids are the numbers."""
    made = [Broken(name, reason, picture(file)) for name, (file, reason) in PICTURES.items()]
    made += [
        Broken(f"{name} in a dialogue", reason, dialogue("用户: <image>", "用户: 会生锈吗", images=(file,)))
        for name, (file, reason) in PICTURES.items()
        if name in ("missing", "parent", "bomb", "text")
    ]
    return made + [Broken(name, reason, record) for name, (record, reason) in TEXTS.items()]
