"""Vectors by torch: of a teacher's checkpoint, and of an encoder that was just fine-tuned."""

from pathlib import Path

import numpy as np
import torch
from tokenizers import Tokenizer

from m5model.data.token_rows import pad_ids
from m5model.data.vocabulary import load_vocabulary
from m5model.encoders.device import choose_device
from m5model.encoders.encoder import TextEncoder, sentence_vectors
from m5model.encoders.kinds import load_encoder
from m5model.partners.vectors import Vectors
from m5model.runtime.rendering import Rendering, render
from schemas.bundle import BundleManifest

CALL_TEXTS = 32  # of like length


def checkpoint_vectors(folder: Path, manifest: BundleManifest, *, threads: int = 1) -> Vectors:
    """The vectors of an opened bundle's checkpoint: the space of its fp32 weights."""
    encoder: TextEncoder = load_encoder(folder)
    encoder.requires_grad_(False).to(choose_device("auto", threads))
    return encoder_vectors(
        encoder,
        load_vocabulary(folder),
        max_tokens=manifest.max_tokens,
        rendering=Rendering.from_json(manifest.rendering),
        space_id=manifest.space_id_fp32,
        bundle=manifest.id,
    )


def encoder_vectors(
    encoder: TextEncoder, tokenizer: Tokenizer, *, max_tokens: int, rendering: Rendering, space_id: str, bundle: str = ""
) -> Vectors:
    """The vectors of an encoder that is in memory, read in evaluation mode."""

    def encode(texts: list[str]) -> np.ndarray:
        return encode_texts(encoder, tokenizer, [render(text, rendering) for text in texts], max_tokens)

    return Vectors(space_id=space_id, dimensions=encoder.hidden_size, bundle=bundle, encode=encode)


@torch.inference_mode()
def encode_texts(encoder: TextEncoder, tokenizer: Tokenizer, texts: list[str], max_tokens: int) -> np.ndarray:
    """Unit vectors (B, D) float32 of rendered texts. Texts of like length share a call."""
    encoder.eval()
    tokenizer.no_padding()
    tokenizer.enable_truncation(max_tokens)
    token_ids = [encoding.ids for encoding in tokenizer.encode_batch_fast(texts)]
    vectors_BD = np.empty((len(texts), encoder.hidden_size), np.float32)
    order = np.argsort([len(ids) for ids in token_ids], kind="stable")
    for start in range(0, len(order), CALL_TEXTS):
        places = order[start : start + CALL_TEXTS]
        ids_BL, mask_BL = (torch.from_numpy(array).to(encoder.device) for array in pad_ids([token_ids[one] for one in places]))
        vectors_BD[places] = sentence_vectors(encoder, ids_BL, mask_BL).cpu().numpy()
    return vectors_BD
