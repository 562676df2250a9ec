import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image, ImageFile, TiffImagePlugin

from mire import images
from mire.errors import DataError
from mire.images import load_image, load_or_fallback, load_pixels, picture_problem, picture_size


def test_exif_turn(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera lay on its side
    Image.new("RGB", (30, 10), "red").save(tmp_path / "a.jpg", exif=exif)
    assert load_image(tmp_path / "a.jpg").size == (10, 30)


def test_transparency_becomes_white(tmp_path: Path) -> None:
    Image.new("RGBA", (4, 4), (255, 0, 0, 0)).save(tmp_path / "a.png")
    assert load_image(tmp_path / "a.png").getpixel((0, 0)) == (255, 255, 255)


def test_every_transparency_of_every_value_is_laid_on_white_as_pillow_composites_it() -> None:
    value, alpha = Image.linear_gradient("L"), Image.linear_gradient("L").rotate(90)
    seen_through = Image.merge("RGBA", (value, value.rotate(180), value, alpha))
    white = Image.new("RGBA", seen_through.size, "white")
    assert images._rgb(seen_through).tobytes() == Image.alpha_composite(white, seen_through).convert("RGB").tobytes()


@pytest.mark.parametrize(
    ("mode", "name"), [("CMYK", "a.jpg"), ("P", "a.png"), ("L", "a.png"), ("I;16", "a.png"), ("LA", "a.png")]
)
def test_every_mode_becomes_rgb(tmp_path: Path, mode: str, name: str) -> None:
    Image.new(mode, (5, 7)).save(tmp_path / name)
    picture = load_image(tmp_path / name)
    assert (picture.mode, picture.size) == ("RGB", (5, 7))


def test_an_animation_gives_its_first_frame(tmp_path: Path) -> None:
    frames = [Image.new("RGB", (4, 4), colour) for colour in ("red", "blue")]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:])
    assert load_image(tmp_path / "a.gif").getpixel((0, 0)) == (255, 0, 0)


GREY = Image.linear_gradient("L").resize((7, 31))
PALETTE = GREY.convert("P")
PALETTE.info["transparency"] = 200


@pytest.mark.parametrize(
    "picture",
    [
        Image.merge("RGBA", (GREY, GREY.rotate(180), GREY, GREY)),
        Image.merge("LA", (GREY, GREY)),
        PALETTE,
        Image.frombytes("I;16", (7, 31), bytes(range(217)) * 2),
        *(GREY.convert(mode).point(lambda value: value * 300) for mode in ("I", "F")),
    ],
    ids=lambda picture: picture.mode,
)
def test_strips_of_a_picture_give_the_same_pixels_as_the_whole(
    picture: Image.Image, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = images._rgb(picture.copy())
    monkeypatch.setattr(images, "_STRIP_PIXELS", 20)  # 2 of 31 rows
    assert images._rgb(picture).tobytes() == whole.tobytes()


@pytest.mark.parametrize("size", [(65_536, 1), (1, 65_536)])
def test_a_line_is_refused_before_it_is_decoded(tmp_path: Path, size: tuple[int, int]) -> None:
    Image.new("L", size).save(tmp_path / "a.png")
    with pytest.raises(DataError, match="picture 'a.png': a side of 65536 pixels exceeds the limit of 65535"):
        load_image(tmp_path / "a.png")


@pytest.mark.slow
def test_a_picture_with_transparency_takes_its_pixels_twice_at_most(tmp_path: Path) -> None:
    """24 megapixels take 92 MiB in RGBA and 69 in RGB."""
    Image.new("RGBA", (6000, 4000)).save(tmp_path / "a.png")
    code = (
        "import resource, sys\nfrom pathlib import Path\nfrom PIL import Image\nfrom mire.images import load_image\n"
        "Image.init()\nbefore = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "load_image(Path(sys.argv[1]))\nprint(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)"
    )
    done = subprocess.run([sys.executable, "-c", code, tmp_path / "a.png"], capture_output=True, check=True, text=True)
    assert int(done.stdout) < 220 * 2**10


@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.webp", "a.gif"])
def test_a_decompression_bomb_is_refused_before_it_is_decoded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    decoded: list[str] = []
    decode = ImageFile.ImageFile.load
    monkeypatch.setattr(ImageFile.ImageFile, "load", lambda self: decoded.append(self.filename) or decode(self))
    Image.new("RGB", (10, 10)).save(tmp_path / name)
    assert picture_size(tmp_path / name) == (10, 10) and picture_problem(tmp_path / name) is None
    assert not decoded
    load_image(tmp_path / name)
    assert decoded, "decoding would be seen here"
    decoded.clear()
    monkeypatch.setattr(images, "MAX_DECODED_PIXELS", 99)
    with pytest.raises(DataError, match="10x10 pixels exceed the limit of 99"):
        load_image(tmp_path / name)
    assert not decoded


@pytest.mark.parametrize("content", [b"", b"not a picture", b"\x89PNG\r\n\x1a\n"])
def test_broken_pictures_become_a_marked_grey_one(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.png").write_bytes(content)
    picture, problem = load_or_fallback(tmp_path / "a.png")
    assert picture.shape == (56, 56, 3) and np.unique(picture).tolist() == [127]
    assert problem is not None and "picture 'a.png' cannot be read: " in problem


NOISE = Image.fromarray(np.random.default_rng(0).integers(0, 256, (33, 61, 3), dtype=np.uint8))


def webp(path: Path, **options: object) -> Path:
    NOISE.save(path, "WEBP", **options)
    return path


def turned() -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = 6
    return exif


@pytest.mark.parametrize(
    ("options", "shape"),
    [
        ({"quality": 80}, (33, 61, 3)),
        ({"lossless": True}, (33, 61, 3)),
        ({"exif": turned()}, (61, 33, 3)),
        ({"icc_profile": b"a profile"}, (33, 61, 3)),
        ({"save_all": True, "append_images": [Image.new("RGB", (61, 33))]}, (33, 61, 3)),
    ],
    ids=["lossy", "lossless", "turned", "profile", "animated"],
)
def test_the_pixels_of_a_webp_are_pillows(tmp_path: Path, options: dict[str, object], shape: tuple[int, ...]) -> None:
    path = webp(tmp_path / "名.webp", **options)
    found = load_pixels(path)
    assert found.shape == shape and found.dtype == np.uint8
    assert np.array_equal(found, np.asarray(load_image(path)))


def test_a_transparent_webp_lies_on_white(tmp_path: Path) -> None:
    Image.new("RGBA", (4, 4), (255, 0, 0, 0)).save(tmp_path / "a.webp")
    assert np.unique(load_pixels(tmp_path / "a.webp")).tolist() == [255]


def test_a_simple_webp_is_not_copied_through_pillow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = webp(tmp_path / "a.webp")
    monkeypatch.setattr(ImageFile.ImageFile, "load", lambda self: pytest.fail("Pillow decodes it"))
    assert load_pixels(path).shape == (33, 61, 3)


@pytest.mark.parametrize("broken", [None, SimpleNamespace(error=ValueError)], ids=["missing", "without what is needed"])
def test_without_opencv_pillow_decodes_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, broken: object) -> None:
    monkeypatch.setitem(sys.modules, "cv2", broken)
    images._opencv.cache_clear()
    try:
        assert np.array_equal(load_pixels(webp(tmp_path / "a.webp", lossless=True)), np.asarray(NOISE))
    finally:
        images._opencv.cache_clear()


@pytest.mark.parametrize("share", [0.2, 0.6, 0.95])
def test_a_truncated_webp_is_an_error(tmp_path: Path, share: float) -> None:
    path = webp(tmp_path / "a.webp")
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    with pytest.raises(DataError, match="picture 'a.webp' cannot be read: "):
        load_pixels(path)


def test_a_broken_webp_is_judged_by_pillow(tmp_path: Path) -> None:
    """One byte in its data that makes it longer than it is: with something after it, OpenCV alone would read on."""
    whole, path = webp(tmp_path / "a.webp", lossless=True).read_bytes(), tmp_path / "b.webp"
    seen = set()
    for place in range(40, len(whole), 40):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 0xFF]) + whole[place + 1 :] + bytes(100))
        found = []
        for load in (load_image, load_pixels):
            try:
                found.append(np.asarray(load(path)).tolist())
            except DataError as error:
                found.append(str(error))
        assert found[0] == found[1]
        seen.add(type(found[0]))
    assert seen == {list, str}, "some of them can be read, some cannot"


def test_a_truncated_picture_is_an_error(tmp_path: Path) -> None:
    Image.effect_noise((80, 80), 50).save(tmp_path / "a.jpg")
    (tmp_path / "b.jpg").write_bytes((tmp_path / "a.jpg").read_bytes()[:900])
    with pytest.raises(DataError, match="picture 'b.jpg' cannot be read: "):
        load_image(tmp_path / "b.jpg")


def test_a_tiff_with_tiles_much_larger_than_itself_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "tiles.tif"
    tags = TiffImagePlugin.ImageFileDirectory_v2()
    tags[65_000], tags[65_001] = 9_000, 9_000
    Image.new("RGB", (100, 100)).save(path, tiffinfo=tags)
    data = path.read_bytes()
    for private, tile in ((65_000, 322), (65_001, 323)):  # Pillow writes no tile's size itself
        data = data.replace(private.to_bytes(2, "little"), tile.to_bytes(2, "little"), 1)
    path.write_bytes(data)
    with pytest.raises(DataError, match="tiles of 81000000 pixels exceed the picture and the limit of 1048576"):
        load_image(path)
