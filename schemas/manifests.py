"""Manifests as JSON files: frozen dataclasses, keys in the order of their fields. m5model.files.manifests reads them."""

import dataclasses
import json
from typing import Any


def to_json(manifest: Any) -> str:
    """The manifest as indented JSON, keys in the order of its fields."""
    return json.dumps(dataclasses.asdict(manifest), ensure_ascii=False, indent=2) + "\n"
