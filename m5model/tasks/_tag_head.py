"""A head over tokens. It reads how a token's state differs from others, not what all have in common.

Of an encoder that was taught to compare texts, most of a state is the same for every token (of the starter, a mean of length
4.6 beside deviations of .06 a channel), so a layer over plain states learns nothing in hundreds of steps. Here each channel is
brought to mean 0 and deviation 1, as measured on some texts when the head is new; both stay as they are while it learns.

Tensor suffixes: B rows, L tokens, N tokens of all rows, D hidden size, T tags.
"""

import numpy as np
import torch
from torch import Tensor, nn

from m5model.encoders.encoder import TextEncoder, without_dropout

SMALLEST = 1e-4  # deviation of a channel that says nothing


class TagHead(nn.Linear):
    """Logits (B, L, T) of states (B, L, D)."""

    center_D: Tensor
    deviation_D: Tensor

    def __init__(self, hidden_size: int, tags: int) -> None:
        super().__init__(hidden_size, tags)
        self.register_buffer("center_D", torch.zeros(hidden_size))
        self.register_buffer("deviation_D", torch.ones(hidden_size))

    @classmethod
    def new(cls, encoder: TextEncoder, tags: int, ids_BL: np.ndarray, mask_BL: np.ndarray) -> "TagHead":
        """A new head for this encoder, drawn from torch's generator, standardised by the states of these texts."""
        head = cls(encoder.hidden_size, tags)
        nn.init.normal_(head.weight, std=encoder.initial_deviation)
        nn.init.zeros_(head.bias)
        states_ND = _states(encoder, ids_BL, mask_BL)
        head.center_D.copy_(states_ND.mean(0))
        head.deviation_D.copy_(states_ND.std(0, correction=0).clamp(min=SMALLEST))
        return head

    def forward(self, input: Tensor) -> Tensor:
        return super().forward((input - self.center_D) / self.deviation_D)

    def folded(self) -> tuple[np.ndarray, np.ndarray]:
        """Weights (T, D) and bias (T,) float32 that give the same logits of plain states."""
        weight_TD = (self.weight / self.deviation_D).detach().cpu().float()
        bias_T = self.bias.detach().cpu().float() - weight_TD @ self.center_D.cpu()
        return weight_TD.numpy(), bias_T.numpy()


@torch.no_grad()
def _states(encoder: TextEncoder, ids_BL: np.ndarray, mask_BL: np.ndarray) -> Tensor:
    """States of all tokens (N, D) without dropout; the encoder is left as it was."""
    ids, mask = (torch.from_numpy(array).to(encoder.device) for array in (ids_BL, mask_BL))
    with without_dropout(encoder):
        states_BLD = encoder.hidden_states(ids, mask)
    return states_BLD[mask.bool()].float().cpu()
