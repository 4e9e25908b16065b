"""Attribute extraction: which words of a text state which attribute?

Every token has a tag: one begins a value of an attribute, one goes on with it, one is outside (Ramshaw and Marcus 1995). Values
are looked for in the text as they are written; one that the text does not state has no words to learn from. Attributes and the
brand are left out of a listing's text, for there the answer is marked.

Tensor suffixes: B rows, L tokens, D hidden size, T tags.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from datasets import Dataset
from tokenizers import Tokenizer
from torch import Tensor, nn

from m5model.data.label_sets import LabelSet
from m5model.data.randomness import seed_for
from m5model.data.token_rows import pad_ids
from m5model.encoders.device import mixed_precision
from m5model.encoders.encoder import TextEncoder
from m5model.tasks import Batching, Examples, TaskData
from m5model.tasks._metrics import f1
from m5model.tasks._phrases import find_phrase
from m5model.tasks._tag_head import TagHead
from m5model.tasks._texts import require_labels, require_rows, sample_rows, without_fields
from schemas.checks import is_whole, require
from schemas.errors import ConfigurationError

NAME = "attribute_extraction"
LABELS = "attributes"
HIDDEN = ("attributes", "brand")  # fields that mark the answer
OUTSIDE = 0
NO_TAG = -100  # of special tokens and padding
EVALUATION_ROWS = 1_024
EVALUATION_TOKENS = 8_192
STANDARD_ROWS = 64  # whose states the head is standardised by: some thousand tokens

Span = tuple[int, int, int]  # attribute, first token, last token


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The task's part of a recipe. Raises ConfigurationError that lists every problem at once."""

    token_budget: int = 2_048  # tokens per step, padding included
    names: int = 32  # attributes to learn: those that most texts state

    def __post_init__(self) -> None:
        require(
            "attribute extraction settings",
            {
                f"token_budget is {self.token_budget}, expected 16 or more tokens": is_whole(self.token_budget, 16),
                f"names is {self.names}, expected 1 or more": is_whole(self.names, 1),
            },
        )


@dataclass(frozen=True, kw_only=True)
class TaggedTexts:
    """Texts as tokens, with a tag for each."""

    ids: list[list[int]]
    tags: list[list[int]]
    keys: np.ndarray  # (n,) int64

    @property
    def lengths(self) -> np.ndarray:
        return np.asarray([len(ids) for ids in self.ids], np.int64)

    def batch(self, rows: Iterable[int]) -> "TagBatch":
        chosen = [int(row) for row in rows]
        ids_BL, mask_BL = pad_ids([self.ids[row] for row in chosen])
        tags_BL = np.full(ids_BL.shape, NO_TAG, np.int64)
        for place, row in enumerate(chosen):
            tags_BL[place, : len(self.tags[row])] = self.tags[row]
        return TagBatch(ids_BL=ids_BL, mask_BL=mask_BL, tags_BL=tags_BL)


@dataclass(frozen=True, kw_only=True)
class TagBatch:
    """The tensors of one step."""

    ids_BL: np.ndarray  # int64
    mask_BL: np.ndarray  # int64
    tags_BL: np.ndarray  # int64

    @property
    def tokens(self) -> int:
        return self.ids_BL.size


class AttributeExtraction:
    """The task; see m5model.tasks.Task."""

    metric = "f1"  # of values found, as whole spans of the right attribute
    lower_is_better = False

    def __init__(
        self, settings: Settings, head: TagHead, names: Sequence[str], texts: dict[str, TaggedTexts], seed: int
    ) -> None:
        self.name = NAME
        self.names = tuple(names)
        self.head = head
        self.seed = seed
        self.outcomes = head.out_features
        self.batching = Batching(token_budget=settings.token_budget)
        self._texts = texts
        self.examples = Examples(keys=texts["learn"].keys, lengths=texts["learn"].lengths)
        self.measured_on = f"{min(EVALUATION_ROWS, len(texts['validate'].keys)):,} texts of the split validate"

    def batch(self, step: int, rows: np.ndarray) -> TagBatch:
        return self._texts["learn"].batch(rows)

    def logits(self, encoder: TextEncoder, batch: TagBatch) -> Tensor:
        """Logits (B, L, T)."""
        ids_BL, mask_BL = (torch.from_numpy(array).to(encoder.device) for array in (batch.ids_BL, batch.mask_BL))
        logits_BLT: Tensor = self.head(encoder.hidden_states(ids_BL, mask_BL))
        return logits_BLT

    def loss(self, logits: Tensor, batch: TagBatch) -> Tensor:
        """Mean over the tokens that are text."""
        tags_BL = torch.from_numpy(batch.tags_BL).to(logits.device)
        return nn.functional.cross_entropy(logits.flatten(0, 1).float(), tags_BL.flatten(), ignore_index=NO_TAG)

    @torch.no_grad()
    def measure(self, encoder: TextEncoder) -> float:
        texts, found, true = self._texts["validate"], set(), set()
        rows = sample_rows(texts.keys, EVALUATION_ROWS)
        size = max(1, EVALUATION_TOKENS // int(texts.lengths.max()))
        for start in range(0, len(rows), size):
            batch = texts.batch(rows[start : start + size])
            with mixed_precision(encoder.device):
                guessed_BL = self.logits(encoder, batch).argmax(-1).cpu().numpy()
            guessed_BL[batch.tags_BL == NO_TAG] = OUTSIDE
            for place, (guessed, tags) in enumerate(zip(guessed_BL, batch.tags_BL, strict=True)):
                found |= {(start + place, *span) for span in read_spans(guessed)}
                true |= {(start + place, *span) for span in read_spans(tags)}
        return f1(found, true)


def build(settings: Settings, encoder: TextEncoder, data: TaskData) -> AttributeExtraction:
    """The task on this label set, with a new head for this encoder (drawn from torch's generator)."""
    labels = require_labels(NAME, LABELS, data)
    if data.tokenizer is None:
        raise ConfigurationError("task attribute_extraction has no vocabulary", next_step="give TaskData its tokenizer")
    stated = {split: _stated(rows, labels) for split, rows in labels.splits.items()}
    for split in ("learn", "validate"):
        require_rows(NAME, list(stated[split]), split, labels)
    counts = Counter(name for values in stated["learn"].values() for name in {name for name, _ in values})
    names = [name for name, _ in sorted(counts.items(), key=lambda entry: (-entry[1], entry[0]))[: settings.names]]
    keys = {split: _keys(rows, labels) for split, rows in labels.splits.items()}
    texts = {split: _tag(found, names, keys[split], data.tokenizer, data.max_tokens) for split, found in stated.items()}
    seen = texts["learn"].batch(sample_rows(texts["learn"].keys, STANDARD_ROWS))
    head = TagHead.new(encoder, 1 + 2 * len(names), seen.ids_BL, seen.mask_BL)
    return AttributeExtraction(settings, head, names, texts, seed_for(NAME, labels.manifest.content_hash, data.seed))


def tag_tokens(
    text: str, offsets: Sequence[tuple[int, int]], values: Iterable[tuple[str, str]], names: Sequence[str]
) -> list[int]:
    """A tag for every token of ``text``: ``offsets`` say which characters a token covers, none where it is special.

    Tag 1 + 2n begins a value of attribute n, 2 + 2n goes on with it. Longer values win over shorter ones.
    """
    tags = [OUTSIDE if end > start else NO_TAG for start, end in offsets]
    spans = [
        (start, end, names.index(name)) for name, value in values if name in names for start, end in find_phrase(text, value)
    ]
    for start, end, number in sorted(spans, key=lambda span: (span[0] - span[1], span)):
        covered = [place for place, offset in enumerate(offsets) if _overlaps(text, offset, start, end)]
        if covered and all(tags[place] == OUTSIDE for place in covered):
            tags[covered[0]] = 1 + 2 * number
            for place in covered[1:]:
                tags[place] = 2 + 2 * number
    return tags


def read_spans(tags: Sequence[int] | np.ndarray) -> list[Span]:
    """The values that tags mark. One that goes on with another attribute than before it, or with none, begins a value."""
    spans: list[Span] = []
    for place, tag in enumerate(int(tag) for tag in tags):
        if tag in (OUTSIDE, NO_TAG):
            continue
        number, goes_on = (tag - 1) // 2, tag % 2 == 0
        if goes_on and spans and spans[-1][0] == number and spans[-1][2] == place - 1:
            spans[-1] = (number, spans[-1][1], place)
        else:
            spans.append((number, place, place))
    return spans


def _overlaps(text: str, offset: tuple[int, int], start: int, end: int) -> bool:
    """Does the token cover a character of the span? The blank before a word is part of its token and counts for nothing."""
    first, last = offset
    while first < last and text[first].isspace():
        first += 1
    return first < end and start < last and first < last


def _stated(rows: Dataset, labels: LabelSet) -> dict[str, list[tuple[str, str]]]:
    """Text → the attributes that labels say of it, with their values. Texts that are known to state none are there, too."""
    found: dict[str, list[tuple[str, str]]] = {}
    for row in rows:
        values = found.setdefault(without_fields(row, labels, *HIDDEN), [])
        if row["value"]:
            values.append((row["name"], row["value"]))
    return found


def _keys(rows: Dataset, labels: LabelSet) -> dict[str, int]:
    """Text → the smallest key of its rows."""
    found: dict[str, int] = {}
    for row in rows:
        text = without_fields(row, labels, *HIDDEN)
        found[text] = min(found.get(text, row["key"]), row["key"])
    return found


def _tag(
    stated: dict[str, list[tuple[str, str]]], names: Sequence[str], keys: dict[str, int], tokenizer: Tokenizer, max_tokens: int
) -> TaggedTexts:
    tokenizer.no_padding()
    tokenizer.enable_truncation(max_tokens)
    texts = sorted(stated)
    encodings = tokenizer.encode_batch(texts)
    tags = [tag_tokens(text, encoding.offsets, stated[text], names) for text, encoding in zip(texts, encodings, strict=True)]
    return TaggedTexts(
        ids=[list(encoding.ids) for encoding in encodings],
        tags=tags,
        keys=np.asarray([keys[text] for text in texts], np.int64),
    )
