"""Marks of fields as tokens: the last tokens of a vocabulary, so that those before them keep their ids.

A mark is cut out of a text before anything else looks at it, in any kind of vocabulary. See m5model.runtime.rendering.
"""

import json

from tokenizers import AddedToken, Tokenizer

from m5model.runtime.rendering import MARKS


def add_marks(tokenizer: Tokenizer) -> Tokenizer:
    """A copy of ``tokenizer`` whose last tokens are the marks, in their order."""
    marked = Tokenizer.from_str(remove_marks(tokenizer).to_str())
    marked.encode_special_tokens = tokenizer.encode_special_tokens
    marked.add_tokens([AddedToken(mark, normalized=False, special=False) for mark in MARKS.values()])
    return marked


def remove_marks(tokenizer: Tokenizer) -> Tokenizer:
    """A copy without marks; all other tokens keep their ids, because marks come last."""
    settings = json.loads(tokenizer.to_str())
    settings["added_tokens"] = [token for token in settings["added_tokens"] if token["content"] not in MARKS.values()]
    plain = Tokenizer.from_str(json.dumps(settings))
    plain.encode_special_tokens = tokenizer.encode_special_tokens
    return plain


def has_marks(tokenizer: Tokenizer) -> bool:
    """Are the last tokens the marks?"""
    size = tokenizer.get_vocab_size()
    expected = range(size - len(MARKS), size)
    return [tokenizer.token_to_id(mark) for mark in MARKS.values()] == list(expected)
