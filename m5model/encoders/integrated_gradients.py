"""Says how much each token of a text adds to the similarity of its vector with a given one, by integrated gradients.

Source: Sundararajan, Taly, Yan 2017. The path leads from a text all of whose words are hidden (the word embedding of the mask
token; the mean of all words where an encoder has no mask) to the text itself; positions, fields and segments stay as they are.
The integral is a Gauss-Legendre sum. By completeness, the attributions sum to the similarity minus that of the hidden text, up
to the error of the sum, which is returned: the path takes more steps where the sum is not close.

Tensor suffixes: L tokens, S steps of the path, N tokens of one lookup, D dimensions.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from m5model.encoders.cross_attention import CrossAttentionEncoder
from m5model.encoders.encoder import TextEncoder
from m5model.encoders.streams import read_streams
from schemas.errors import ConfigurationError

STEPS = (24, 48, 96)  # tried in turn until the sum over the path is close enough
CLOSE = 0.02  # of a cosine: what completeness may miss


@dataclass(frozen=True, kw_only=True)
class Gradients:
    """Attributions of one text's tokens."""

    tokens_L: np.ndarray  # float32
    similarity: float  # of the text with the given vector
    hidden_similarity: float  # of the text whose words are hidden

    @property
    def gap(self) -> float:
        """The sum of attributions misses so much: 0 where the sum over the path is exact."""
        return float(self.tokens_L.sum()) - (self.similarity - self.hidden_similarity)


def integrate_gradients(encoder: TextEncoder, ids_L: np.ndarray, target_D: np.ndarray) -> Gradients:
    """Attributions of a text (token ids, int64) to the cosine with ``target_D`` (unit length, float32).

    Raises ConfigurationError for a model whose word embeddings are looked up in another way than once for each token.
    """
    found = [_integrate(encoder, ids_L, target_D, STEPS[0])]
    for steps in STEPS[1:]:
        if abs(found[-1].gap) <= CLOSE:
            break
        found.append(_integrate(encoder, ids_L, target_D, steps))
    return min(found, key=lambda each: abs(each.gap))


def _integrate(encoder: TextEncoder, ids_L: np.ndarray, target_D: np.ndarray, steps: int) -> Gradients:
    nodes, weights = np.polynomial.legendre.leggauss(steps)  # on [-1, 1]
    path_S = torch.from_numpy((nodes + 1) / 2).float()
    words, start_D, target = word_table(encoder), start_of_path(encoder), torch.from_numpy(target_D)
    leaves: list[tuple[Tensor, Tensor]] = []  # what was looked up as a step has it, and its way from the start: (S, N, D)

    def blend(_: nn.Module, __: tuple[Any, ...], found: Tensor) -> Tensor:
        way_SND = (found.detach() - start_D).reshape(steps, -1, found.shape[-1])
        leaf_SND = (start_D + way_SND * path_S[:, None, None]).requires_grad_()
        leaves.append((leaf_SND, way_SND))
        return leaf_SND.reshape(found.shape)

    similarity_S = _similarities(encoder, words, blend, np.repeat(ids_L[None], steps, 0), target)
    gradients = torch.autograd.grad(similarity_S.sum(), [leaf for leaf, _ in leaves])
    weights_S = torch.from_numpy(weights / 2).float()
    parts = [
        (torch.einsum("s,snd->nd", weights_S, gradient_SND) * way_SND[0]).sum(1)
        for gradient_SND, (_, way_SND) in zip(gradients, leaves, strict=True)
    ]
    with torch.no_grad():
        whole, hidden = (_similarities(encoder, words, hook, ids_L[None], target) for hook in (None, _hide(start_D)))
    return Gradients(tokens_L=_in_order(encoder, ids_L, parts), similarity=float(whole[0]), hidden_similarity=float(hidden[0]))


def word_table(encoder: TextEncoder) -> nn.Module:
    """The module that looks up word embeddings."""
    table = encoder.token_table
    for module in encoder.modules():
        if isinstance(module, nn.Embedding) and module.weight is table:
            return module
    raise ConfigurationError("the model looks its words up in a way that cannot be followed", next_step="look at occlusion")


def start_of_path(encoder: TextEncoder) -> Tensor:
    """The word embedding that hides a word (D,)."""
    table_VD = encoder.token_table.detach()
    try:
        return table_VD[encoder.mask_id]
    except ConfigurationError:
        return table_VD.mean(0)


def _similarities(encoder: TextEncoder, words: nn.Module, hook: Any, ids_SL: np.ndarray, target_D: Tensor) -> Tensor:
    """Cosines (S,) of the texts with the target, while ``hook`` changes what is looked up."""
    ids = torch.from_numpy(ids_SL)
    handle = words.register_forward_hook(hook) if hook else None
    try:
        vectors_SD = encoder.vectors(ids, torch.ones_like(ids))
    finally:
        if handle:
            handle.remove()
    return vectors_SD @ target_D


def _hide(start_D: Tensor) -> Any:
    def hook(_: nn.Module, __: tuple[Any, ...], found: Tensor) -> Tensor:
        return start_D.expand_as(found)

    return hook


def _in_order(encoder: TextEncoder, ids_L: np.ndarray, parts: list[Tensor]) -> np.ndarray:
    """The attributions of all look-ups in the order of the tokens: one look-up, or one for each stream."""
    found = [part.detach().numpy() for part in parts]
    places = _places(encoder, ids_L)
    if [len(part) for part in found] != [len(each) for each in places]:
        raise ConfigurationError("the model looks its words up in a way that cannot be followed", next_step="look at occlusion")
    tokens_L = np.zeros(len(ids_L), np.float32)
    for part, each in zip(found, places, strict=True):
        tokens_L[each] = part
    return tokens_L


def _places(encoder: TextEncoder, ids_L: np.ndarray) -> list[np.ndarray]:
    if not isinstance(encoder, CrossAttentionEncoder):
        return [np.arange(len(ids_L))]
    ids_1L = torch.from_numpy(ids_L)[None]
    streams = read_streams(ids_1L, torch.ones_like(ids_1L), encoder.vocabulary_size)
    return [stream.here_BL[0].nonzero()[:, 0].numpy() for stream in streams]
