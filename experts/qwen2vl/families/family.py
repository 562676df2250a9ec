"""What one family of bases differs in."""

from dataclasses import dataclass

Rgb = tuple[float, float, float]


@dataclass(frozen=True)
class Family:
    """A family's picture format and chat frame.

    - ``model_type``: as in a checkpoint's ``config.json``; ``bases`` names the hub's checkpoints that are supported.
    - ``patch``: side of a patch in pixels. Two by two patches become one visual token.
    - ``mean``, ``std``: of red, green and blue in 0 to 1; pixels are normalised by them.
    - ``system``: what the chat template says first if a chat has no system message; None: nothing.
    """

    model_type: str
    bases: str
    patch: int
    mean: Rgb
    std: Rgb
    system: str | None
