"""nano's synthetic screens: drawn from the given generator alone."""

import random

from PIL import Image

from experts.qwen2vl.nano.screens import draw_screen


def screens() -> list[bytes]:
    rng = random.Random(7)
    return [draw_screen(rng).picture.tobytes() for _ in range(20)]


def test_a_seed_draws_the_same_screens_whatever_was_drawn_before() -> None:
    first = screens()
    Image.effect_noise((8, 8), 30).tobytes()  # moves the C library's generator, which Pillow's noise comes from
    assert screens() == first
