"""LightGBM's text format, read strictly: the library checks no index in it, and a wrong one crashes the process."""

import hashlib
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mire.errors import PanelError

if TYPE_CHECKING:
    from collections.abc import Callable

    from lightgbm import Booster
    from numpy.typing import NDArray

    Array = NDArray[Any]
    Integers = NDArray[np.int64]

TREES_DIGEST = "trees_sha256"
"""What a voter's own file calls the digest of its trees."""
_END = "end of trees\n"
_HEADER = (
    "version", "num_class", "num_tree_per_iteration", "label_index", "max_feature_idx", "objective",
    "feature_names", "feature_infos", "tree_sizes",
)  # fmt: skip
_INNER_INTEGERS = ("split_feature", "decision_type", "left_child", "right_child", "internal_count")
_INNER_NUMBERS = ("split_gain", "threshold", "internal_value", "internal_weight")
_TREE = {
    *_INNER_INTEGERS, *_INNER_NUMBERS, "num_leaves", "num_cat", "leaf_value", "leaf_weight", "leaf_count", "is_linear",
    "shrinkage",
}  # fmt: skip
_DECISIONS = (0, 2, 4, 6, 8, 10)
"""Comparisons with a threshold, and where a missing number goes; odd ones are sets of categories."""


def save_trees(booster: "Booster", path: Path) -> str:
    """Write a booster as text; the digest that ``load_trees`` takes."""
    text = booster.model_to_string()
    path.write_text(text, encoding="utf-8", newline="\n")
    return _digest(text)


def load_trees(path: Path, *, n_classes: int, digest: str | None) -> "Booster":
    """Read what ``save_trees`` wrote; line ends that a copy has turned into Windows' are turned back.

    ``digest`` is None for a panel that was trained before there were any. The library sees the text only when every
    index in it has been found to lie within its array, and only the trees of it.

    Raises:
        PanelError: the file is missing, is something else, is not whole, or is not the one that was trained.
    """
    import lightgbm

    text = path.read_bytes().decode("utf-8", errors="replace").replace("\r\n", "\n") if path.is_file() else ""
    if not text.startswith("tree\n") or _END not in text or not _last_line(text).startswith("pandas_categorical:"):
        raise PanelError(f"{path} is not a complete LightGBM text file; copy the panel again, or train it again")
    if digest is not None and _digest(text) != digest:
        raise PanelError(f"{path} is not the file that was trained; copy the panel again, or train this voter again")
    try:
        _check(text, n_classes)
    except (ValueError, OverflowError) as error:
        raise PanelError(
            f"{path} is damaged: {str(error)[:200]}; copy the panel again, or train this voter again"
        ) from error
    return lightgbm.Booster(model_str=f"{text.partition(_END)[0]}{_END}\npandas_categorical:null\n")


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _last_line(text: str) -> str:
    return text.rstrip("\n").rpartition("\n")[2]


def _check(text: str, n_classes: int) -> None:
    """Refuse what the library would trip over.

    Raises:
        ValueError: says what is wrong, and in which tree.
    """
    head, _, trees = text.partition("\n\n")
    header = _entries(head.removeprefix("tree\n"), set(_HEADER), "the header")
    n_features = _integer(header["max_feature_idx"]) + 1
    for key, wanted in (("num_class", n_classes), ("num_tree_per_iteration", n_classes), ("label_index", 0)):
        if header[key] != str(wanted):
            raise ValueError(f"{key} is {header[key]!r}, not {wanted}")
    if header["version"] != "v4" or header["objective"] != f"multiclass num_class:{n_classes}":
        raise ValueError(f"version {header['version']!r} or objective {header['objective']!r} is not ours")
    for key in ("feature_names", "feature_infos"):
        if len(header[key].split(" ")) != n_features:
            raise ValueError(f"{key} does not name {n_features} features")
    sizes = _integers(header["tree_sizes"])
    if len(sizes) == 0 or len(sizes) % n_classes or sizes.min() < 1:
        raise ValueError(f"there are {len(sizes)} trees for {n_classes} classes")
    raw, offset = trees.encode(), 0
    found = []
    for number, size in enumerate(sizes.tolist()):
        name, _, body = raw[offset : offset + size].decode().partition("\n")
        if name != f"Tree={number}" or not body.endswith("\n\n\n"):
            raise ValueError(f"tree {number} is not where it should be")
        found.append(_entries(body.removesuffix("\n\n\n"), _TREE, f"tree {number}"))
        offset += size
    if not raw[offset:].startswith(_END.encode()):
        raise ValueError("there are more trees than the header says")
    _check_trees(found, n_features)


def _check_trees(trees: list[dict[str, str]], n_features: int) -> None:
    """Check all trees at once: every array has its length, every index lies in its array, no walk goes in a circle."""
    leaves = _integers(" ".join(str(_integer(tree["num_leaves"])) for tree in trees))
    if leaves.min() < 1 or any(tree["num_cat"] != "0" or tree["is_linear"] != "0" for tree in trees):
        raise ValueError("a tree has no leaves, or categories, or is linear")
    inner = leaves - 1
    arrays = {key: _joined(trees, key, inner, _integers) for key in _INNER_INTEGERS}
    for key in _INNER_NUMBERS:
        _joined(trees, key, inner, _numbers)
    _joined(trees, "leaf_value", leaves, _numbers)
    # Of a single leaf the weight is left out.
    _joined(trees, "leaf_weight", np.where(leaves > 1, leaves, 0), _numbers)
    _joined(trees, "leaf_count", leaves, _integers)
    _joined(trees, "shrinkage", np.ones_like(leaves), _numbers)
    if not ((arrays["split_feature"] >= 0) & (arrays["split_feature"] < n_features)).all():
        raise ValueError("a tree splits on a feature that is not there")
    if not np.isin(arrays["decision_type"], _DECISIONS).all():
        raise ValueError("a tree has an unknown kind of decision")
    _check_children(np.concatenate([arrays["left_child"], arrays["right_child"]]), inner, leaves)


def _joined(trees: list[dict[str, str]], key: str, lengths: "Integers", read: "Callable[[str], Array]") -> "Array":
    """One array of all trees' values."""
    texts = [tree[key] for tree in trees]
    found = [text.count(" ") + 1 if text else 0 for text in texts]
    if not np.array_equal(found, lengths):
        number = int(np.flatnonzero(found != lengths)[0])
        raise ValueError(f"tree {number} has {found[number]} values of {key} for {lengths[number]}")
    return read(" ".join(filter(None, texts)))


def _check_children(children: "Integers", inner: "Integers", leaves: "Integers") -> None:
    """Every node but a root is the child of one earlier node of its tree, so that a walk ends; so is every leaf.

    ``children`` holds the left ones of all nodes of all trees, then the right ones; leaf n is ``-n - 1``.
    """
    tree = np.tile(np.repeat(np.arange(len(inner)), inner), 2)
    first_node = np.cumsum(inner) - inner
    node = np.tile(np.arange(inner.sum()), 2) - first_node[tree]
    if (children >= inner[tree]).any() or (-children - 1 >= leaves[tree]).any():
        raise ValueError("a tree has children that are not there")
    if ((children >= 0) & (children <= node)).any():
        raise ValueError("a tree goes in a circle")
    is_leaf = children < 0
    nodes = np.bincount((children + first_node[tree])[~is_leaf], minlength=int(inner.sum()))
    ends = np.bincount((-children - 1 + (np.cumsum(leaves) - leaves)[tree])[is_leaf], minlength=int(leaves.sum()))
    nodes[first_node[inner > 0]] += 1
    ends[(np.cumsum(leaves) - leaves)[inner == 0]] += 1
    if not ((nodes == 1).all() and (ends == 1).all()):
        raise ValueError("a tree has children that have two parents, or none")


def _entries(text: str, wanted: set[str], where: str) -> dict[str, str]:
    """The lines ``key=value``; each wanted key once and no other."""
    pairs = [line.partition("=") for line in text.split("\n")]
    found = {key: value for key, _, value in pairs}
    if len(found) != len(pairs) or found.keys() != wanted:
        odd = sorted(found.keys() ^ wanted) or ["a line twice"]
        raise ValueError(f"{where} has a missing, unknown or repeated line: {odd[0]!r}")
    return found


def _integer(text: str) -> int:
    if not re.fullmatch(r"\d{1,9}", text):
        raise ValueError(f"{text[:80]!r} is no count")
    return int(text)


def _integers(text: str) -> "Integers":
    """Integers of at most nine digits, one blank between two."""
    if re.search(r"[^-\d ]|\d{10}|\d-|  |^ | $", text):
        raise ValueError(f"{text[:80]!r} are no integers")
    return np.array(text.split(), dtype=np.int64)


def _numbers(text: str) -> "Array":
    """Finite numbers, one blank between two."""
    if re.search(r"[^-+.\de ]|  |^ | $", text):
        raise ValueError(f"{text[:80]!r} are no numbers")
    numbers = np.array(text.split(), dtype=np.float64)
    if not np.isfinite(numbers).all():
        raise ValueError(f"{text[:80]!r} are not finite")
    return numbers
