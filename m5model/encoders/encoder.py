"""An encoder as training, losses and export see it: token ids in, one hidden state per token out.

Tensor suffixes: B rows, L tokens, D hidden size, V vocabulary.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor, nn

from m5model.data.vocabulary import CONTROL_ROLES, MASK_ID, SPECIAL_TOKENS


class TextEncoder(nn.Module):
    """The protocol of encoders. Nothing outside ``encoders/`` knows which classes are behind it.

    A base class and no ``typing.Protocol``, because its users also need that it is a torch module.
    """

    @property
    def hidden_size(self) -> int:
        """Dimensions of a hidden state, and of a vector."""
        raise NotImplementedError

    @property
    def vocabulary_size(self) -> int:
        """Rows of the token table."""
        raise NotImplementedError

    @property
    def max_tokens(self) -> int:
        """Positions that it knows, special tokens included."""
        raise NotImplementedError

    @property
    def initial_deviation(self) -> float:
        """Standard deviation that new weights are drawn with, its own and those of heads."""
        raise NotImplementedError

    @property
    def token_table(self) -> Tensor:
        """The word embeddings (V, D)."""
        raise NotImplementedError

    @property
    def pooling(self) -> str:
        """The kind of its vectors: ``mean`` of the hidden states, or ``cls``, the first of them."""
        return "mean"

    @property
    def control_tokens(self) -> Mapping[str, str]:
        """Names of its control tokens by role, as transformers has them (``mask_token``)."""
        return dict(zip(CONTROL_ROLES, SPECIAL_TOKENS, strict=True))

    @property
    def mask_id(self) -> int:
        """The token that stands for a hidden one."""
        return MASK_ID

    @property
    def guessable_ids(self) -> np.ndarray:
        """Tokens (n,) int64, sorted, that may be hidden and guessed: all but control tokens."""
        return np.arange(len(SPECIAL_TOKENS), self.vocabulary_size)

    def save_memory(self) -> None:
        """Compute activations anew in the backward pass instead of keeping them (Chen et al. 2016)."""
        raise NotImplementedError

    @property
    def blocks(self) -> Sequence[nn.Module]:
        """Its layers, from the first to the last: what is compiled, or held in parts, on its own."""
        raise NotImplementedError

    @property
    def device(self) -> torch.device:
        return next(self.parameters()).device

    def hidden_states(self, ids_BL: Tensor, mask: Tensor) -> Tensor:
        """Hidden states (B, L, D).

        ``mask`` is (B, L) int64, 1 where there is a token; or (B, 1, 1, L) float32, which is added to the attention scores.
        """
        raise NotImplementedError

    def layer_states(self, ids_BL: Tensor, mask_BL: Tensor) -> tuple[Tensor, ...]:
        """Hidden states (B, L, D) after each of its layers, the last of which ``hidden_states`` gives."""
        raise NotImplementedError

    def vectors(self, ids_BL: Tensor, mask_BL: Tensor) -> Tensor:
        """Unit vectors (B, D) float32 of token ids (B, L) int64 and their mask (B, L), 1 where there is a token."""
        hidden_BLD = self.hidden_states(ids_BL, mask_BL)
        if self.pooling == "cls":
            return nn.functional.normalize(hidden_BLD[:, 0].float(), dim=-1)
        return pool(hidden_BLD, mask_BL)


def pool(hidden_BLD: Tensor, mask_BL: Tensor) -> Tensor:
    """Mean over the tokens that the mask keeps, scaled to unit length: (B, D) float32.

    The sum is a product of matrices on purpose: onnxruntime's ReduceSum adds up in another order where there is one row
    only, its MatMul does not, so a text gets the same bytes alone and in a batch.
    """
    weight_B1L = mask_BL.to(torch.float32).unsqueeze(1)
    mean_BD = (weight_B1L @ hidden_BLD.float()).squeeze(1) / weight_B1L.sum(2)
    return mean_BD / torch.linalg.vector_norm(mean_BD, dim=-1, keepdim=True)


def sentence_vectors(encoder: TextEncoder, ids_BL: Tensor, mask_BL: Tensor) -> Tensor:
    """Unit vectors (B, D) float32 of token ids (B, L) int64 and their mask (B, L), 1 where there is a token."""
    return encoder.vectors(ids_BL, mask_BL)


def count_parameters(model: nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


@contextmanager
def without_dropout(encoder: TextEncoder) -> Iterator[None]:
    """Within it the encoder computes as it will when it is used; gradients flow. Then it is left as it was."""
    was_training = encoder.training
    encoder.eval()
    try:
        yield
    finally:
        encoder.train(was_training)
