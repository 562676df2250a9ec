"""Numbers that describe a picture's pixels without reading it: brightness, colours, edges, flatness."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from PIL.Image import Image

PIXELS_VERSION = 1
"""Increase it when a number's meaning changes: cached readings are then discarded."""

_GRID = (32, 64)
"""Columns and rows of the reduced picture whose colours are measured."""

_BANDS = {"status": (0, 8), "top": (8, 24), "middle": (24, 44), "lower": (44, 56), "bottom": (56, 64)}
"""Bands of its rows: a dimmed top or a white middle distinguishes a pop-up from a page."""

_EDGE_GRID = (128, 256)
_HUES = {"red": (0.0, 0.05), "orange": (0.05, 0.12), "green": (0.25, 0.45), "blue": (0.5, 0.7)}


def pixel_names() -> tuple[str, ...]:
    """Names of ``pixel_features``' numbers, in order."""
    bands = [f"{band} {what}" for band in _BANDS for what in ("light", "contrast", "colour", "r", "g", "b")]
    edges = [f"quarter {quarter} {what}" for quarter in range(4) for what in ("edges x", "edges y", "flat")]
    hues = [f"hue {name}" for name in _HUES]
    return ("tallness", "width", "height", *bands, "white", "black", "grey", "colour", "colours vary", *edges,
            "flat rows", "n colours", *hues)  # fmt: skip


def pixel_features(picture: "Image") -> "tuple[float, ...]":
    """Statistics of an RGB picture, as ``pixel_names`` names them; most in [0, 1], sides in units of 1280 pixels."""
    import numpy as np

    width, height = picture.size
    rgb = np.asarray(picture.resize(_GRID), dtype=float) / 255
    hsv = np.asarray(picture.convert("HSV").resize(_GRID), dtype=float) / 255
    grey = np.asarray(picture.convert("L").resize(_GRID), dtype=float) / 255
    values = [height / width, width / 1280, height / 1280]
    for start, end in _BANDS.values():
        band = slice(start, end)
        values += [grey[band].mean(), grey[band].std(), hsv[band, :, 1].mean(), *rgb[band].mean((0, 1))]
    saturation = hsv[..., 1]
    values += [(grey > 0.95).mean(), (grey < 0.1).mean(), ((grey > 0.2) & (grey < 0.5)).mean()]
    values += [saturation.mean(), saturation.std(), *_edges(picture)]
    values += [len(np.unique((rgb * 15).astype(int).reshape(-1, 3), axis=0)) / 500, *_hues(hsv)]
    return tuple(round(float(value), 5) for value in values)


def _edges(picture: "Image") -> "list[float]":
    """Edge strength and share of flat pixels in each quarter of the height, then the share of flat rows."""
    import numpy as np

    grey = np.asarray(picture.convert("L").resize(_EDGE_GRID), dtype=float) / 255
    across, down = np.abs(np.diff(grey, axis=1)), np.abs(np.diff(grey, axis=0))
    values: list[float] = []
    for start in range(0, _EDGE_GRID[1], 64):
        quarter = slice(start, start + 64)
        values += [across[quarter].mean(), down[quarter].mean(), (across[quarter] < 0.01).mean()]
    return [*values, (grey.std(axis=1) < 0.01).mean()]


def _hues(hsv: "NDArray[np.float64]") -> "list[float]":
    """Share of vivid pixels of each named hue."""
    hue, saturation, value = hsv[..., 0], hsv[..., 1], hsv[..., 2]
    vivid = (saturation > 0.4) & (value > 0.4)
    return [((hue >= low) & (hue < high) & vivid).mean() for low, high in _HUES.values()]
