"""A Unigram vocabulary for any language, learned from texts; the same texts always give the same bytes.

Source: Kudo 2018, "Subword Regularization" (Unigram); byte fallback as in SentencePiece, so that no text is unknown.
"""

import json
import math
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping
from itertools import count, takewhile
from pathlib import Path

from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

from m5model.runtime.tokens import open_tokenizer, read_control_tokens_as_text
from schemas.bundle import TOKENIZER_FILE
from schemas.errors import ConfigurationError

# The position in this tuple is the token's id; the runtime pads with id 0.
SPECIAL_TOKENS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
CONTROL_ROLES = ("pad_token", "unk_token", "cls_token", "sep_token", "mask_token")  # of the same, as transformers names them
PAD_ID, UNK_ID, CLS_ID, SEP_ID, MASK_ID = range(5)
BYTE_TOKENS = tuple(f"<0x{byte:02X}>" for byte in range(256))
MINIMUM_SIZE = len(SPECIAL_TOKENS) + len(BYTE_TOKENS) + 1
# The trainer sums floats in the order of a hash map, so scores differ in their last digits from run to run.
SCORE_DECIMALS = 6
# It gives a character that no learned piece is the worst score, the next one this much more, and so on, in that order, too.
RARE_CHARACTER_STEP = 1e-4
# Longer pieces are whole product titles that sellers repeat.
MAX_PIECE_CHARACTERS = 16


def train_vocabulary(texts: Iterable[str], size: int) -> Tokenizer:
    """Learn at most ``size`` tokens (special ones and 256 byte tokens included) from texts; small corpora give fewer.

    Raises ConfigurationError where ``size`` leaves no room for pieces, or where there is no text.
    """
    if size < MINIMUM_SIZE:
        raise ConfigurationError(f"a vocabulary of {size} tokens is too small", next_step=f"ask for {MINIMUM_SIZE} or more")
    listed = [text for text in texts if text]
    counts = _count_characters(listed)
    trainer = trainers.UnigramTrainer(
        # The trainer refuses a size below the number of characters, the space mark included. What is more than asked for is cut
        # off afterwards, rare characters first, and these are then spelt in bytes.
        vocab_size=max(size - len(BYTE_TOKENS), len(counts) + 1 + len(SPECIAL_TOKENS)),
        special_tokens=list(SPECIAL_TOKENS),
        unk_token=SPECIAL_TOKENS[UNK_ID],
        max_piece_length=MAX_PIECE_CHARACTERS,
        show_progress=False,
    )
    learner = _with_text_steps(Tokenizer(models.Unigram()))
    learner.train_from_iterator(listed, trainer)
    pieces = _canonical_pieces(learner, counts)[: size - MINIMUM_SIZE + 1]
    if not pieces:
        raise ConfigurationError("no text to learn a vocabulary from", next_step="sample a training set that is not empty")
    return _finished(pieces)


def save_vocabulary(
    folder: Path, tokenizer: Tokenizer, max_tokens: int, control_tokens: Mapping[str, str] | None = None
) -> None:
    """Write tokenizer.json and the tokenizer_config.json that lets ``transformers.AutoTokenizer`` open it.

    ``control_tokens`` are names by role, those of M5's layout otherwise.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / TOKENIZER_FILE).write_text(tokenizer.to_str(pretty=False), encoding="utf-8")
    config = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "model_max_length": max_tokens,
        "padding_side": "right",
        "truncation_side": "right",
        "clean_up_tokenization_spaces": False,
        "split_special_tokens": True,  # [MASK] in a text is text; the rest of that lies in tokenizer.json
        "model_input_names": ["input_ids", "attention_mask"],
        **(control_tokens or dict(zip(CONTROL_ROLES, SPECIAL_TOKENS, strict=True))),
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")


def load_vocabulary(folder: Path) -> Tokenizer:
    return open_tokenizer((folder / TOKENIZER_FILE).read_bytes())


def _with_text_steps(tokenizer: Tokenizer) -> Tokenizer:
    """Add the steps around the pieces: NFKC makes full-width and half-width forms one, and runs of blanks become one space."""
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.NFKC(), normalizers.Replace(Regex(r"\s+"), " "), normalizers.Strip()]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Sequence([decoders.ByteFallback(), decoders.Metaspace()])
    return tokenizer


def _canonical_pieces(learner: Tokenizer, counts: Mapping[str, int]) -> list[tuple[str, float]]:
    """The learned pieces, best first, scores rounded and ties in the order of their text."""
    learned = json.loads(learner.to_str())["model"]["vocab"]
    scores = {piece: round(score, SCORE_DECIMALS) for piece, score in learned if piece not in SPECIAL_TOKENS}
    rare = _rare_characters(scores)
    by_count = sorted(rare, key=lambda character: (-counts[character], character))
    scores.update(zip(by_count, sorted((scores[character] for character in rare), reverse=True), strict=True))
    return sorted(scores.items(), key=lambda entry: (-entry[1], entry[0]))


def _rare_characters(scores: Mapping[str, float]) -> list[str]:
    """The characters that the trainer scored in steps from the worst score up."""
    if not scores:
        return []
    worst = min(scores.values())
    by_step: dict[int, list[str]] = {}
    for piece, score in scores.items():
        steps = (score - worst) / RARE_CHARACTER_STEP
        if len(piece) == 1 and abs(steps - round(steps)) < 0.02:  # scores are rounded to a hundredth of a step
            by_step.setdefault(round(steps), []).append(piece)
    unbroken = takewhile(by_step.__contains__, count())
    return [character for step in unbroken for character in by_step[step]]


def _finished(pieces: list[tuple[str, float]]) -> Tokenizer:
    # A byte token must lose against any piece that covers the text, so it scores below the worst of them.
    byte_score = math.floor(pieces[-1][1]) - 10.0
    entries = [(token, 0.0) for token in SPECIAL_TOKENS] + [(token, byte_score) for token in BYTE_TOKENS] + pieces
    tokenizer = _with_text_steps(Tokenizer(models.Unigram(entries, unk_id=UNK_ID, byte_fallback=True)))
    return add_control_tokens(tokenizer)


def add_control_tokens(tokenizer: Tokenizer) -> Tokenizer:
    """Make ``tokenizer`` (changed in place), whose model begins with our control tokens, put them around every text."""
    tokenizer.add_special_tokens(list(SPECIAL_TOKENS))
    cls_token, sep_token = SPECIAL_TOKENS[CLS_ID], SPECIAL_TOKENS[SEP_ID]
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{cls_token} $A {sep_token}",
        pair=f"{cls_token} $A {sep_token} $B:1 {sep_token}:1",
        special_tokens=[(cls_token, CLS_ID), (sep_token, SEP_ID)],
    )
    return read_control_tokens_as_text(tokenizer)


def _count_characters(texts: list[str]) -> Counter[str]:
    """Counts how often the normalised texts have each character."""
    characters: Counter[str] = Counter()
    for text in texts:
        characters.update(unicodedata.normalize("NFKC", text))
    return characters
