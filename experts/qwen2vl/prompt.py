"""Prompts as token ids: the chat frame, the two layouts, image slots that only we can open."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from experts.qwen2vl.pictures import Patches, to_patches
from experts.qwen2vl.trie import LabelTrie
from mire.images import load_or_fallback
from mire.labels import Task, Taxonomy
from mire.prompts import IMAGE_TAG, Prompt, Turn
from mire.samples import Sample

Layout = Literal["official", "compact"]

SYSTEM = "You are a helpful assistant."
END_OF_TURN = "<|im_end|>"
COMPACT_QUESTION: dict[Task, str] = {"image": "这张图片是什么页面?", "dialogue": "用户的意图是什么?"}
_SPEAKER_NAMES = {"user": "用户", "agent": "客服"}


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

    def encode(self, sample: Sample) -> EncodedPrompt:
        """Token ids and patches of one sample.

        A picture that cannot be read becomes a grey one; a dialogue over ``max_tokens`` loses its oldest
        turns, then the head of its last one, but never the instruction or half a picture. Both are marked.
        """
        pictures, problems = self._pictures(sample)
        turns = sample.turns
        ids = self._ids(sample.prompt, turns, pictures)
        n_tokens = len(ids)
        while len(ids) > self.max_tokens and (shorter := _shorten(turns)) is not None:
            turns = shorter
            ids = self._ids(sample.prompt, turns, pictures)
        if len(ids) < n_tokens:
            problems.append(f"prompt of {n_tokens} tokens cut to {len(ids)} (limit {self.max_tokens})")
        elif n_tokens > self.max_tokens:
            problems.append(f"prompt of {n_tokens} tokens is over the limit of {self.max_tokens}")
        shown = pictures[len(pictures) - self._n_slots(ids) :]
        return EncodedPrompt(sample.id, tuple(ids), tuple(shown), tuple(problems))

    def label_trie(self, taxonomy: Taxonomy) -> LabelTrie:
        """The live labels' token sequences, each with the end-of-turn token, as a trie."""
        end = self._special(END_OF_TURN)
        return LabelTrie.build([[*self._plain(label), end] for label in taxonomy.labels])

    def answer_lengths(self, labels: Sequence[str]) -> list[int]:
        """Tokens of each label's answer, the end-of-turn token not counted."""
        return [len(self._plain(label)) for label in labels]

    def _pictures(self, sample: Sample) -> tuple[list[Patches], list[str]]:
        loaded = [load_or_fallback(path) for path in sample.images]
        patches = [to_patches(picture, min_pixels=self.min_pixels, max_pixels=self.max_pixels) for picture, _ in loaded]
        return patches, [problem for _, problem in loaded if problem]

    def _ids(self, prompt: Prompt, turns: tuple[Turn, ...], pictures: Sequence[Patches]) -> list[int]:
        """The whole chat about a sample: system, user, and the opening of the answer."""
        body = self._body(prompt, turns)
        # When old turns are dropped, their pictures go with them: the slots left belong to the last ones.
        slots = min(body.count(IMAGE_TAG), len(pictures))
        return self.frame(body, pictures[len(pictures) - slots :])

    def frame(self, body: str, pictures: Sequence[Patches]) -> list[int]:
        """The chat around a user message whose first ``<image>`` tags are the pictures' slots."""
        return [
            *self._turn_start("system"),
            *self._plain(SYSTEM),
            *self._turn_end(),
            *self._turn_start("user"),
            *self._content(body, pictures),
            *self._turn_end(),
            *self._turn_start("assistant"),
        ]

    def _body(self, prompt: Prompt, turns: tuple[Turn, ...]) -> str:
        """What the user message says; ``<image>`` stands where a picture goes."""
        if self.layout == "official":
            return prompt.text if turns == prompt.turns else prompt.head + _render(turns) + prompt.tail
        if self.task == "image" or not turns:
            return f"{IMAGE_TAG}{COMPACT_QUESTION[self.task]}"
        return f"{_render(turns)}{COMPACT_QUESTION[self.task]}"

    def _content(self, body: str, pictures: Sequence[Patches]) -> list[int]:
        """Token ids of a body, its first tags opened as slots for the pictures; further tags stay text."""
        parts = body.split(IMAGE_TAG, len(pictures))
        ids = self._plain(parts[0])
        for picture, text in zip(pictures, parts[1:], strict=True):
            ids.append(self._special("<|vision_start|>"))
            ids.extend([self._special("<|image_pad|>")] * picture.n_tokens)
            ids.append(self._special("<|vision_end|>"))
            ids.extend(self._plain(text))
        return ids

    def _n_slots(self, ids: Sequence[int]) -> int:
        return ids.count(self._special("<|vision_start|>"))

    def _turn_start(self, role: str) -> list[int]:
        return [self._special("<|im_start|>"), *self._plain(f"{role}\n")]

    def _turn_end(self) -> list[int]:
        return [self._special(END_OF_TURN), *self._plain("\n")]

    def _special(self, token: str) -> int:
        return int(self.tokenizer.convert_tokens_to_ids(token))

    def _plain(self, text: str) -> list[int]:
        """Ids of text in which nothing is a special token, whatever it spells."""
        return list(self.tokenizer(text, add_special_tokens=False, split_special_tokens=True)["input_ids"])


def _render(turns: Sequence[Turn]) -> str:
    return "".join(f"{_SPEAKER_NAMES[turn.speaker]}: {turn.text}\n" for turn in turns)


def _shorten(turns: tuple[Turn, ...]) -> tuple[Turn, ...] | None:
    """One step shorter: without the oldest turn; a lone turn loses the first half of its text."""
    if len(turns) > 1:
        return turns[1:]
    if not turns or len(turns[0].text) < 2 or turns[0].text == IMAGE_TAG:
        return None
    text = turns[0].text
    return (Turn(turns[0].speaker, text[len(text) // 2 :]),)
