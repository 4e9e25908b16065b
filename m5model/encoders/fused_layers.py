"""The blocks of the cross-attention encoder: post-layer-norm blocks of two streams that also attend to each other.

All but the attention itself is computed on packed tokens. Tensor suffixes: N tokens of one stream, M of the other, D hidden
size, B rows, H heads, L tokens of a row.
"""

import torch
from torch import Tensor, nn

from m5model.encoders.streams import Stream, pad, unpad

NORM_EPSILON = 1e-12  # as in DistilBERT's layout


class Attention(nn.Module):
    """Scaled dot-product attention of one stream's tokens to those of a stream, its own or the other (Vaswani et al. 2017).

    With ``may_ignore`` there is also a key of zeros with a value of zeros: a token need not attend to anything, and where the
    other stream is missing nothing comes from it.
    """

    def __init__(self, hidden_size: int, heads: int, dropout: float, may_ignore: bool) -> None:
        super().__init__()
        self.heads = heads
        self.dropout = dropout
        self.may_ignore = may_ignore
        self.q_lin = nn.Linear(hidden_size, hidden_size)
        self.k_lin = nn.Linear(hidden_size, hidden_size)
        self.v_lin = nn.Linear(hidden_size, hidden_size)
        self.out_lin = nn.Linear(hidden_size, hidden_size)

    def forward(self, asking_ND: Tensor, asking: Stream, asked_MD: Tensor, asked: Stream) -> Tensor:
        """(N, D)."""
        query_BHLd = self._by_head(pad(self.q_lin(asking_ND), asking))
        key_BLD, value_BLD = (pad(part(asked_MD), asked) for part in (self.k_lin, self.v_lin))
        allowed_BL = asked.keys_BL
        if self.may_ignore:
            nothing_B1D = key_BLD.new_zeros(len(key_BLD), 1, key_BLD.shape[2])
            key_BLD, value_BLD = torch.cat([nothing_B1D, key_BLD], 1), torch.cat([nothing_B1D, value_BLD], 1)
            allowed_BL = torch.cat([torch.ones_like(allowed_BL[:, :1]), allowed_BL], 1)
        attended_BHLd = nn.functional.scaled_dot_product_attention(
            query_BHLd,
            self._by_head(key_BLD),
            self._by_head(value_BLD),
            attn_mask=allowed_BL[:, None, None, :],
            dropout_p=self.dropout if self.training else 0.0,
        )
        attended_ND: Tensor = self.out_lin(unpad(attended_BHLd.transpose(1, 2).flatten(2), asking))
        return attended_ND

    def _by_head(self, padded_BLD: Tensor) -> Tensor:
        return padded_BLD.unflatten(2, (self.heads, -1)).transpose(1, 2)


class FeedForward(nn.Module):
    """Two dense layers with GELU between them."""

    def __init__(self, hidden_size: int, intermediate_size: int) -> None:
        super().__init__()
        self.lin1 = nn.Linear(hidden_size, intermediate_size)
        self.lin2 = nn.Linear(intermediate_size, hidden_size)

    def forward(self, hidden_ND: Tensor) -> Tensor:
        out_ND: Tensor = self.lin2(nn.functional.gelu(self.lin1(hidden_ND)))
        return out_ND


class Layer(nn.Module):
    """A block of one stream. Weights that DistilBERT's layers have, too, have their names."""

    def __init__(self, hidden_size: int, heads: int, intermediate_size: int, dropout: float, is_fused: bool) -> None:
        super().__init__()
        self.attention = Attention(hidden_size, heads, dropout, may_ignore=False)
        self.sa_layer_norm = nn.LayerNorm(hidden_size, eps=NORM_EPSILON)
        self.crossing = Attention(hidden_size, heads, dropout, may_ignore=True) if is_fused else None
        self.ffn = FeedForward(hidden_size, intermediate_size)
        self.output_layer_norm = nn.LayerNorm(hidden_size, eps=NORM_EPSILON)
        self.drop = nn.Dropout(dropout)

    def attend(self, hidden_ND: Tensor, stream: Stream) -> Tensor:
        """The stream after attention to itself."""
        normed_ND: Tensor = self.sa_layer_norm(hidden_ND + self.attention(hidden_ND, stream, hidden_ND, stream))
        return normed_ND

    def finish(self, hidden_ND: Tensor, stream: Stream, other_MD: Tensor | None, other: Stream | None) -> Tensor:
        """The stream after attention to the other one, where it attends to it, and after the feed-forward."""
        if self.crossing is not None and other_MD is not None and other is not None:
            hidden_ND = hidden_ND + self.drop(self.crossing(hidden_ND, stream, other_MD, other))
        out_ND: Tensor = self.output_layer_norm(hidden_ND + self.drop(self.ffn(hidden_ND)))
        return out_ND


class Level(nn.Module):
    """One layer of the text stream and, where the structured stream has one there, one of it; fused or side by side."""

    def __init__(self, text: Layer, structure: Layer | None) -> None:
        super().__init__()
        self.text = text
        self.structure = structure

    def forward(self, text_ND: Tensor, structure_MD: Tensor, text: Stream, structure: Stream) -> tuple[Tensor, Tensor]:
        """Both streams: (N, D), (M, D)."""
        text_ND = self.text.attend(text_ND, text)
        if self.structure is None:
            return self.text.finish(text_ND, text, None, None), structure_MD
        structure_MD = self.structure.attend(structure_MD, structure)
        return (
            self.text.finish(text_ND, text, structure_MD, structure),
            self.structure.finish(structure_MD, structure, text_ND, text),
        )
