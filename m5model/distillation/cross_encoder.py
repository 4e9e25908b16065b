"""A cross-encoder: a bundle that was trained to read two texts as one and to say how surely both are the same product.

Its logits of labelled pairs are computed once and kept beside teachers' vectors. Tensor suffixes: B pairs.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from tokenizers import Tokenizer

from m5model.bundles.draft import read_heads
from m5model.bundles.find import open_bundle
from m5model.data.label_sets import LabelSet
from m5model.data.vocabulary import load_vocabulary
from m5model.distillation.teacher_outputs import TeacherTexts, open_outputs
from m5model.encoders.device import choose_device
from m5model.encoders.encoder import TextEncoder
from m5model.encoders.kinds import load_encoder
from m5model.runtime.rendering import Rendering
from m5model.tasks._pairs import Form, PairHead
from m5model.tasks._texts import TextPool, encode_all
from m5model.training.config import Machine
from schemas.bundle import BundleManifest
from schemas.errors import ConfigurationError

FORM: Form = "cross"


@dataclass(frozen=True, kw_only=True)
class CrossEncoder:
    """A bundle with a pair head of the form cross, opened on the device that computes."""

    folder: Path
    manifest: BundleManifest
    encoder: TextEncoder
    tokenizer: Tokenizer
    head: PairHead

    @property
    def rendering(self) -> Rendering:
        """Of the texts that it reads."""
        return Rendering.from_json(self.manifest.rendering)

    @torch.no_grad()
    def logits(self, pairs: Sequence[tuple[str, str]]) -> np.ndarray:
        """(B,) float32, above 0 for a yes."""
        pool = TextPool(pairs, self.tokenizer, self.manifest.max_tokens)
        vectors = encode_all(self.encoder, pool, np.arange(len(pairs)))
        places_B = torch.zeros(len(pairs), dtype=torch.long, device=vectors.device)
        found: np.ndarray = self.head(vectors, places_B).float().cpu().numpy()
        return found


def find_cross_task(manifest: BundleManifest) -> str:
    """The last task of its recipe that reads pairs as one text and has a head. Raises ConfigurationError without one."""
    stages = (manifest.recipe or {}).get("stages", ())
    shares = [share for stage in stages for share in stage.get("tasks", ())]  # type: ignore[attr-defined]
    names = [share.get("name") or share["task"] for share in shares if (share.get("settings") or {}).get("form") == FORM]
    kept = [name for name in names if f"heads/{name}.safetensors" in manifest.files]
    if not kept:
        raise ConfigurationError(
            f"{manifest.id} is no cross-encoder: no task of its recipe has the form {FORM!r} and a head",
            next_step="train one on pairs: a recipe file whose task duplicates has settings {'form': 'cross'}",
        )
    return kept[-1]


def open_cross_encoder(path: str, machine: Machine) -> CrossEncoder:
    """Open the bundle at ``path``, every byte checked."""
    folder, manifest = open_bundle(path)
    state = read_heads(folder, manifest)[find_cross_task(manifest)]
    device = choose_device(machine.device, machine.threads)
    encoder = load_encoder(folder)
    encoder.requires_grad_(False).to(device).eval()
    head = PairHead(FORM, encoder, has_places="places.weight" in state)
    head.load_state_dict(dict(state))
    head.requires_grad_(False).to(device).eval()
    return CrossEncoder(folder=folder, manifest=manifest, encoder=encoder, tokenizer=load_vocabulary(folder), head=head)


def score_pairs(cross: CrossEncoder, labels: LabelSet, count: int, outputs: str) -> np.ndarray:
    """Logits (n,) float32 of the first ``count`` pairs of the split learn, computed where ``outputs`` does not keep them.

    ``labels`` hold the texts in the cross-encoder's rendering.
    """
    rows = labels.splits["learn"]
    texts = TeacherTexts(
        teacher=cross.manifest.id,
        order=np.arange(len(rows)),
        content=f"pairs-{labels.manifest.content_hash}-{labels.rendering.rendering_id}",
        compute=partial(_score, cross, labels),
    )
    places = np.arange(min(count, len(rows)))
    return open_outputs(outputs, texts, count).of(places)[:, 0]


def _score(cross: CrossEncoder, labels: LabelSet, rows: np.ndarray) -> np.ndarray:
    chosen = labels.splits["learn"].select(rows)
    return cross.logits(list(zip(chosen["left_text"][:], chosen["right_text"][:], strict=True)))[:, None]
