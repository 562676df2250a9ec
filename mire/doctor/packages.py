"""Which packages are installed, and which of them are known not to work together."""

from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, requires, version
from importlib.util import find_spec
from pathlib import Path

from mire.compat import operators_load
from mire.doctor.check import Check

OPTIONAL = ("accelerate", "bitsandbytes", "cleanlab", "gradio", "pyarrow", "ray")
"""Packages of the extras train, quantized, audit, serve and ray: listed if installed."""
OVERWRITING = (("onnxruntime", "onnxruntime-gpu"), ("opencv-python", "opencv-python-headless"))
"""Pairs that overwrite each other's files: removing one breaks the other."""
TORCHVISION_AHEAD = 15
"""torchvision 0.N is built for torch 2.(N - 15)."""


def packages() -> Iterator[Check]:
    """Every package that this project needs, compared with its declared version."""
    from packaging.requirements import Requirement

    for line in requires("mire") or ():
        needed = Requirement(line)
        if needed.marker and not needed.marker.evaluate({"extra": ""}):
            continue
        found = _version(needed.name)
        if found is None:
            yield Check(f"{needed.name:<16} missing", f"pip install '{_plain(needed)}'")
        elif not needed.specifier.contains(found, prereleases=True):
            yield Check(f"{needed.name:<16} {found}, needed {needed.specifier}", f"pip install '{_plain(needed)}'")
        else:
            yield Check(f"{needed.name:<16} {found}")
    yield from (Check(f"{name:<16} {found}") for name in OPTIONAL if (found := _version(name)))


def bad_pairs() -> Iterator[Check]:
    """Installed pairs that are known not to work together; a single line if there are none."""
    found = [*_torchvision(), *_overwriting()]
    yield from found or [Check("no known-bad pair")]


def _torchvision() -> Iterator[Check]:
    torch, vision, specification = _version("torch"), _version("torchvision"), find_spec("torchvision")
    if torch is None or vision is None or specification is None or specification.origin is None:
        return
    wanted = fitting_torchvision(torch)
    if wanted and vision.split(".")[:2] != wanted.split("."):
        yield Check(
            f"torch {torch} goes with torchvision {wanted}, not {vision}", f"pip install 'torchvision=={wanted}.*'"
        )
    elif not operators_load(Path(specification.origin).parent):
        yield Check(
            f"torchvision {vision} was built for another torch than {torch}: its operators do not load. This project "
            "works nevertheless; in other programs transformers will not import",
            "install torch and torchvision together, in one command, from one index",
        )


def fitting_torchvision(torch: str) -> str | None:
    """The ``0.N`` of torchvision that is built for a version of torch 2; None for another torch."""
    major, minor, *_ = torch.split(".")
    return f"0.{int(minor) + TORCHVISION_AHEAD}" if major == "2" and minor.isdigit() else None


def _overwriting() -> Iterator[Check]:
    for keep, drop in OVERWRITING:
        if _version(keep) and _version(drop):
            yield Check(
                f"{keep} and {drop} are both installed, one over the other",
                f"pip uninstall {keep} {drop}, then install one of them",
            )


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _plain(needed: object) -> str:
    return str(needed).split(";")[0].strip()
