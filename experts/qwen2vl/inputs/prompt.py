"""Prompts as token ids: the chat frame, the two layouts, and image slots that a user's text cannot forge."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache, partial
from pathlib import Path
from typing import Any, Literal

from experts.qwen2vl.inputs.label_trie import LabelTrie
from experts.qwen2vl.inputs.pictures import PATCH, Patches, Resize, load_patches, outline
from experts.qwen2vl.inputs.truncation import Pieces, PromptParts, cut_text, fill_slots
from mire.labels import Task, Taxonomy
from mire.prompts import IMAGE_TAG, Prompt
from mire.samples import Sample

Layout = Literal["official", "compact"]
Loaded = tuple[Patches, str | None]
"""A picture, and for a grey one that replaces an unreadable file the reason, else None."""

N_KEPT_TEXTS = 256
"""Texts whose tokens an encoder remembers: far more than samples share."""
SYSTEM = "You are a helpful assistant."
END_OF_TURN = "<|im_end|>"
COMPACT_QUESTION: dict[Task, str] = {"image": "这张图片是什么页面?", "dialogue": "用户的意图是什么?"}


@dataclass(frozen=True)
class EncodedPrompt:
    """A prompt ready for the model: token ids, the pictures of its image slots in order, and the problems met."""

    sample_id: str
    ids: tuple[int, ...]
    pictures: tuple[Patches, ...]
    problems: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.ids)


@dataclass(frozen=True)
class PromptEncoder:
    """Turns samples into token ids.

    Text between the frame's own tokens is tokenised with special tokens split, so ``<|im_end|>`` or
    ``<|image_pad|>`` in a user's words is ordinary text. The layout ``official`` is the challenge's wording, token for
    token what LLaMA-Factory's ``qwen2_vl`` template makes of it; ``compact`` omits the instruction and the label list,
    since only labels can be predicted anyway. ``max_tokens`` bounds a prompt without the label trie. ``patch`` and
    ``system`` are those of the base's family.
    """

    tokenizer: Any
    task: Task
    layout: Layout
    min_pixels: int
    max_pixels: int
    max_tokens: int
    resize: Resize = "qwen2vl"
    patch: int = PATCH
    system: str | None = SYSTEM

    def encode(self, sample: Sample, loaded: Sequence[Loaded] | None = None) -> EncodedPrompt:
        """Token ids and patches of one sample; its pictures are read here unless ``loaded`` holds ``load``'s results.

        An unreadable picture becomes a grey one. A dialogue over ``max_tokens`` loses its oldest turns, then what
        followed the user's last turn, then the first half of that turn, as often as needed; never half a picture.
        An instruction that still leaves no room is replaced by the compact one. ``problems`` names all of this.
        """
        loaded = list(map(self.load, sample.images)) if loaded is None else loaded
        pictures = [patches for patches, _ in loaded]
        problems = [problem for _, problem in loaded if problem]
        slots = fill_slots(sample.prompt, pictures)
        pieces = self._pieces(sample.prompt, slots)
        ids = self.frame(pieces)
        if (n_tokens := len(ids)) > self.max_tokens:
            pieces = self._shortened(sample.prompt, slots)
            ids = self.frame(pieces)
            problems.append(f"prompt of {n_tokens} tokens cut to {len(ids)} (limit {self.max_tokens})")
        shown = tuple(piece for piece in pieces if not isinstance(piece, str))
        return EncodedPrompt(sample.id, tuple(ids), shown, tuple(problems))

    def length(self, sample: Sample) -> int:
        """Tokens of a sample's prompt. Only pictures' sizes are read, so a broken picture may be counted wrongly."""
        limits = {"min_pixels": self.min_pixels, "max_pixels": self.max_pixels}
        shapes = [outline(path, **limits, resize=self.resize, patch=self.patch) for path in sample.images]
        return len(self.encode(sample, [(shape, None) for shape in shapes]))

    @property
    def load(self) -> Callable[[Path], Loaded]:
        """A function that reads one picture. It does not hold the tokenizer, so that processes can exchange it."""
        return partial(
            load_patches,
            min_pixels=self.min_pixels,
            max_pixels=self.max_pixels,
            resize=self.resize,
            patch=self.patch,
        )

    def label_trie(self, taxonomy: Taxonomy) -> LabelTrie:
        """The trie of the labels that are not disabled, each label's tokens followed by the end-of-turn token."""
        end = self._special(END_OF_TURN)
        return LabelTrie.build([[*self._plain(label), end] for label in taxonomy.labels])

    def answer_lengths(self, labels: Sequence[str]) -> list[int]:
        """Tokens of each label, without the end-of-turn token."""
        return [len(self._plain(label)) for label in labels]

    def frame(self, pieces: Pieces) -> list[int]:
        """Token ids of the whole chat around a user message: system, user, and the opening of the answer."""
        system = [] if self.system is None else self._plain(self.system)
        return [
            *([*self._turn_start("system"), *system, *self._turn_end()] if system else []),
            *self._turn_start("user"),
            *self._content(pieces),
            *self._turn_end(),
            *self._turn_start("assistant"),
        ]

    def _pieces(self, prompt: Prompt, slots: Sequence[Patches | None]) -> Pieces:
        """The user message in this layout."""
        return cut_text(prompt.text, iter(slots)) if self.layout == "official" else self._compact(prompt, slots).pieces

    def _compact(self, prompt: Prompt, slots: Sequence[Patches | None]) -> PromptParts:
        """The first picture, or the dialogue, and a short question; a prompt without turns counts as one user turn."""
        question = (COMPACT_QUESTION[self.task],)
        if self.task == "image":
            first = next((picture for picture in slots if picture is not None), IMAGE_TAG)
            return PromptParts((first,), (), question, 0)
        parts = PromptParts.of(prompt, slots)
        turns = parts.turns or (cut_text(f"{prompt.text}\n", iter(slots)),)
        return replace(parts, head=(), turns=turns, tail=question, last_question=max(parts.last_question, 0))

    def _shortened(self, prompt: Prompt, slots: Sequence[Patches | None]) -> Pieces:
        """The prompt within ``max_tokens``, or as short as it gets."""
        compact = self._compact(prompt, slots)
        candidates = [compact] if self.layout == "compact" else [PromptParts.of(prompt, slots), compact]
        for parts in candidates:
            pieces = self._within_limit(parts)
            if len(self.frame(pieces)) <= self.max_tokens:
                break
        return pieces

    def _within_limit(self, parts: PromptParts) -> Pieces:
        while (excess := len(self.frame(parts.pieces)) - self.max_tokens) > 0:
            costs = [len(self._content(turn)) for turn in parts.turns]
            shorter = parts.without_turns(costs, excess) or parts.without_half_turn()
            if shorter is None:
                break
            parts = shorter
        return parts.pieces

    def _content(self, pieces: Pieces) -> list[int]:
        """Token ids of a message; the text between two pictures is tokenised as one string."""
        ids: list[int] = []
        words = ""
        for piece in pieces:
            if isinstance(piece, str):
                words += piece
                continue
            ids += self._plain(words)
            words = ""
            ids.append(self._special("<|vision_start|>"))
            ids.extend([self._special("<|image_pad|>")] * piece.n_tokens)
            ids.append(self._special("<|vision_end|>"))
        return ids + self._plain(words)

    def _turn_start(self, role: str) -> list[int]:
        return [self._special("<|im_start|>"), *self._plain(f"{role}\n")]

    def _turn_end(self) -> list[int]:
        return [self._special(END_OF_TURN), *self._plain("\n")]

    def _special(self, token: str) -> int:
        return int(self.tokenizer.convert_tokens_to_ids(token))

    def _plain(self, text: str) -> list[int]:
        """Token ids of text; what spells a special token is ordinary text."""
        return list(self._tokenize(text))

    @cached_property
    def _tokenize(self) -> Callable[[str], tuple[int, ...]]:
        """Token ids by text; what samples share, the frame and the instruction, is tokenised once."""
        tokenizer = self.tokenizer

        @lru_cache(maxsize=N_KEPT_TEXTS)
        def tokenize(text: str) -> tuple[int, ...]:
            return tuple(tokenizer(text, add_special_tokens=False, split_special_tokens=True)["input_ids"])

        return tokenize
