"""The words: product types and brands (concepts/), and one file of words per language (words/)."""

import json
from collections.abc import Mapping
from functools import lru_cache
from importlib import resources
from typing import Any


@lru_cache
def read_words(language: str) -> Mapping[str, Any]:
    """Nouns, adjectives, features, values, units and templates of one language."""
    return _read(f"words/{language}.json")


@lru_cache
def read_concepts(name: str) -> Any:
    """``product_types``, ``brands`` or ``names``."""
    return _read(f"concepts/{name}.json")


@lru_cache
def product_types() -> Mapping[str, Mapping[str, Any]]:
    """Product types by name."""
    return {kind["name"]: kind for kind in read_concepts("product_types")}


def _read(path: str) -> Any:
    return json.loads(resources.files(__package__).joinpath(path).read_text(encoding="utf-8"))
