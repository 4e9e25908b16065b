"""Brings the vocabulary of another project into M5's layout: control tokens have our names and the ids 0 to 4.

Pieces keep their scores and their order, so a text is cut as before; only ids and the names of control tokens change.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from tokenizers import Tokenizer

from m5model.data.vocabulary import SPECIAL_TOKENS, UNK_ID, add_control_tokens
from schemas.bundle import TOKENIZER_FILE
from schemas.errors import ConfigurationError

# Our control tokens in the order of their ids → what Hugging Face calls their roles, first choice first.
ROLES = (("pad_token",), ("unk_token",), ("cls_token", "bos_token"), ("sep_token", "eos_token"), ("mask_token",))
CONFIG_FILES = ("tokenizer_config.json", "special_tokens_map.json")
NEW_ROW = -1


@dataclass(frozen=True, kw_only=True)
class ArrangedVocabulary:
    """A vocabulary in M5's layout, and where each of its tokens lay before."""

    tokenizer: Tokenizer
    rows: np.ndarray  # (V,) int64: the old id of each token; NEW_ROW where there was none


def read_roles(folder: Path) -> dict[str, str]:
    """Role → name of the control token, from the files beside a tokenizer.json."""
    roles: dict[str, str] = {}
    for name in CONFIG_FILES:
        file = folder / name
        if file.is_file():
            for role, value in json.loads(file.read_text(encoding="utf-8")).items():
                text = value.get("content") if isinstance(value, dict) else value
                if role.endswith("_token") and isinstance(text, str):
                    roles.setdefault(role, text)
    return roles


def arrange_vocabulary(folder: Path) -> ArrangedVocabulary:
    """The vocabulary of a checkpoint folder in M5's layout. Raises ConfigurationError where there is none that we can read."""
    file = folder / TOKENIZER_FILE
    if not file.is_file():
        raise ConfigurationError(
            f"{folder} has no {TOKENIZER_FILE}",
            next_step="make one: transformers.AutoTokenizer.from_pretrained(FOLDER).save_pretrained(FOLDER)",
        )
    return arrange_tokenizer(file.read_text(encoding="utf-8"), read_roles(folder))


def arrange_tokenizer(text: str, roles: Mapping[str, str]) -> ArrangedVocabulary:
    """The same from the text of a tokenizer.json and the roles of its control tokens."""
    settings = json.loads(text)
    old_ids = _ids_by_token(settings)
    controls = [next((roles[role] for role in names if roles.get(role) in old_ids), None) for names in ROLES]
    if controls[UNK_ID] is None and settings["model"]["type"] != "BPE":
        raise ConfigurationError("the vocabulary has no token for what it does not know", next_step="give another checkpoint")
    added = {token["content"] for token in settings["added_tokens"]}
    pieces = [token for token in _tokens_in_order(settings["model"]) if token not in added and token not in controls]
    rows = [old_ids[name] if name is not None else NEW_ROW for name in controls] + [old_ids[piece] for piece in pieces]
    settings["model"] = _renamed_model(settings["model"], pieces)
    return ArrangedVocabulary(tokenizer=finish_tokenizer(settings), rows=np.asarray(rows, np.int64))


def finish_tokenizer(settings: dict[str, Any]) -> Tokenizer:
    """A tokenizer from settings whose model begins with our control tokens: they are added, and stand around every text."""
    tokenizer = Tokenizer.from_str(
        json.dumps({**settings, "added_tokens": [], "post_processor": None, "truncation": None, "padding": None})
    )
    return add_control_tokens(tokenizer)


def _ids_by_token(settings: Mapping[str, Any]) -> dict[str, int]:
    ids = {token: place for place, token in enumerate(_tokens_in_order(settings["model"]))}
    if settings["model"]["type"] != "Unigram":
        ids = dict(settings["model"]["vocab"])
    return ids | {token["content"]: token["id"] for token in settings["added_tokens"]}


def _tokens_in_order(model: Mapping[str, Any]) -> list[str]:
    """Tokens of the model in the order of their ids."""
    if model["type"] == "Unigram":
        return [piece for piece, _ in model["vocab"]]
    if model["type"] in ("WordPiece", "BPE"):
        return sorted(model["vocab"], key=model["vocab"].__getitem__)
    raise ConfigurationError(
        f"the vocabulary is of kind {model['type']}, expected Unigram, WordPiece or BPE", next_step="give another checkpoint"
    )


def _renamed_model(model: Mapping[str, Any], pieces: list[str]) -> dict[str, Any]:
    """The model with our control tokens first, then ``pieces``."""
    if model["type"] == "Unigram":
        scores = dict(model["vocab"])
        entries = [[token, 0.0] for token in SPECIAL_TOKENS] + [[piece, scores[piece]] for piece in pieces]
        return {**model, "vocab": entries, "unk_id": UNK_ID}
    ids = {token: place for place, token in enumerate((*SPECIAL_TOKENS, *pieces))}
    return {**model, "vocab": ids, "unk_token": SPECIAL_TOKENS[UNK_ID] if model.get("unk_token") else None}
