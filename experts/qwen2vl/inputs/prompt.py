"""Prompts as token ids: the chat frame, the two layouts, image slots that only we can open."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

from experts.qwen2vl.inputs.label_trie import LabelTrie
from experts.qwen2vl.inputs.pictures import Patches, Resize, load_patches, outline
from experts.qwen2vl.inputs.truncation import Pieces, PromptParts, cut_text, fill_slots
from mire.labels import Task, Taxonomy
from mire.prompts import IMAGE_TAG, Prompt
from mire.samples import Sample

Layout = Literal["official", "compact"]
Loaded = tuple[Patches, str | None]
"""A picture, and why it is a grey one."""

SYSTEM = "You are a helpful assistant."
END_OF_TURN = "<|im_end|>"
COMPACT_QUESTION: dict[Task, str] = {"image": "这张图片是什么页面?", "dialogue": "用户的意图是什么?"}


@dataclass(frozen=True)
class EncodedPrompt:
    """A prompt ready for the model: token ids, and the pictures behind its image slots, in order."""

    sample_id: str
    ids: tuple[int, ...]
    pictures: tuple[Patches, ...]
    problems: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.ids)


@dataclass(frozen=True)
class PromptEncoder:
    """Turns samples into token ids.

    The text between the frame's own tokens is tokenised with special tokens split, so a shopper who
    writes ``<|im_end|>`` or ``<|image_pad|>`` writes ordinary text. ``official`` is the challenge's
    wording, token for token what LLaMA-Factory's ``qwen2_vl`` template makes of it; ``compact`` leaves
    the instruction and the label list out, since the label set is closed anyway.
    """

    tokenizer: Any
    task: Task
    layout: Layout
    min_pixels: int
    max_pixels: int
    max_tokens: int
    resize: Resize = "qwen2vl"

    def encode(self, sample: Sample, loaded: Sequence[Loaded] | None = None) -> EncodedPrompt:
        """Token ids and patches of one sample; its pictures are read here unless ``loaded`` holds what ``load`` gave.

        A picture that cannot be read becomes a grey one. A dialogue over ``max_tokens`` loses its oldest
        turns, then what followed the user's last turn, then the head of that; never half a picture. An
        instruction that leaves no room even so is replaced by the compact one. All of it is marked.
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
        """Tokens of a sample's prompt; of its pictures only the sizes are read, so a broken one may count wrong."""
        limits = {"min_pixels": self.min_pixels, "max_pixels": self.max_pixels}
        shapes = [outline(path, **limits, resize=self.resize) for path in sample.images]
        return len(self.encode(sample, [(shape, None) for shape in shapes]))

    @property
    def load(self) -> Callable[[Path], Loaded]:
        """How a picture is read; it can be sent to other processes, and needs no tokenizer there."""
        return partial(load_patches, min_pixels=self.min_pixels, max_pixels=self.max_pixels, resize=self.resize)

    def label_trie(self, taxonomy: Taxonomy) -> LabelTrie:
        """The live labels' token sequences, each with the end-of-turn token, as a trie."""
        end = self._special(END_OF_TURN)
        return LabelTrie.build([[*self._plain(label), end] for label in taxonomy.labels])

    def answer_lengths(self, labels: Sequence[str]) -> list[int]:
        """Tokens of each label's answer, the end-of-turn token not counted."""
        return [len(self._plain(label)) for label in labels]

    def frame(self, pieces: Pieces) -> list[int]:
        """The whole chat around a user message: system, user, and the opening of the answer."""
        return [
            *self._turn_start("system"),
            *self._plain(SYSTEM),
            *self._turn_end(),
            *self._turn_start("user"),
            *self._content(pieces),
            *self._turn_end(),
            *self._turn_start("assistant"),
        ]

    def _pieces(self, prompt: Prompt, slots: Sequence[Patches | None]) -> Pieces:
        """What the user message says."""
        return cut_text(prompt.text, iter(slots)) if self.layout == "official" else self._compact(prompt, slots).pieces

    def _compact(self, prompt: Prompt, slots: Sequence[Patches | None]) -> PromptParts:
        """The first picture, or the dialogue, and a short question; a prompt without turns counts as a user's."""
        question = (COMPACT_QUESTION[self.task],)
        if self.task == "image":
            first = next((picture for picture in slots if picture is not None), IMAGE_TAG)
            return PromptParts((first,), (), question, 0)
        talk = PromptParts.of(prompt, slots)
        turns = talk.turns or (cut_text(f"{prompt.text}\n", iter(slots)),)
        return replace(talk, head=(), turns=turns, tail=question, last_question=max(talk.last_question, 0))

    def _shortened(self, prompt: Prompt, slots: Sequence[Patches | None]) -> Pieces:
        """The prompt within the limit of tokens, or as near to it as can be."""
        compact = self._compact(prompt, slots)
        talks = [compact] if self.layout == "compact" else [PromptParts.of(prompt, slots), compact]
        for talk in talks:
            pieces = self._within_limit(talk)
            if len(self.frame(pieces)) <= self.max_tokens:
                break
        return pieces

    def _within_limit(self, talk: PromptParts) -> Pieces:
        while (excess := len(self.frame(talk.pieces)) - self.max_tokens) > 0:
            costs = [len(self._content(turn)) for turn in talk.turns]
            shorter = talk.without_turns(costs, excess) or talk.without_half_turn()
            if shorter is None:
                break
            talk = shorter
        return talk.pieces

    def _content(self, pieces: Pieces) -> list[int]:
        """Token ids of a message: text between the pictures' slots, tokenised in one go up to the next slot."""
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
        """Ids of text in which nothing is a special token, whatever it spells."""
        return list(self.tokenizer(text, add_special_tokens=False, split_special_tokens=True)["input_ids"])
