"""Cuts token ids into two streams, text and structured data, by the marks among them, and packs each: no padding is kept.

A token belongs to the field of the last mark before it. What no mark comes before, and control tokens, are text of no field.
Tensor suffixes: B rows, L tokens of a row, N tokens of one stream of all rows together, D hidden size.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from m5model.data.vocabulary import CLS_ID, SEP_ID
from m5model.runtime.rendering import MARKS, TEXT_MARKS

STREAMS = ("text", "structure")
FIELD_COUNT = 1 + len(MARKS)  # field 0 is text of no field
SEGMENTS = 2  # of a pair of texts that are read together


class Stream(NamedTuple):
    """The tokens of one stream, those of all rows one after the other."""

    here_BL: Tensor  # bool: which tokens of the batch they are
    ids_N: Tensor
    fields_N: Tensor
    segments_N: Tensor  # 0 up to the first separator, 1 behind it
    positions_N: Tensor  # within row and stream
    slots_N: Tensor  # place in an array of (B * length, …), where rows are padded to the longest
    keys_BL: Tensor  # bool (B, length): slots that may be attended to
    length: int  # of the longest row, at least 1


def read_streams(ids_BL: Tensor, mask_BL: Tensor, vocabulary_size: int) -> tuple[Stream, Stream]:
    """Text and structured data of ids (B, L) and their mask (B, L), 1 where there is a token."""
    fields_BL = _fields(ids_BL, vocabulary_size - len(MARKS))
    ends_BL = (ids_BL == SEP_ID).long()
    segments_BL = (ends_BL.cumsum(1) - ends_BL).clamp(max=SEGMENTS - 1)
    is_structure_BL = fields_BL > len(TEXT_MARKS)
    is_token_BL = mask_BL.bool()
    here = (is_token_BL & ~is_structure_BL, is_token_BL & is_structure_BL)
    text, structure = (_pack(here_BL, ids_BL, fields_BL, segments_BL) for here_BL in here)
    return text, structure


def pad(packed_ND: Tensor, stream: Stream) -> Tensor:
    """Packed tokens (N, D) as rows (B, length, D), zeros behind their ends."""
    rows = stream.keys_BL.shape[0]
    empty = packed_ND.new_zeros(rows * stream.length, packed_ND.shape[1])
    return empty.index_copy(0, stream.slots_N, packed_ND).view(rows, stream.length, -1)


def unpad(padded_BLD: Tensor, stream: Stream) -> Tensor:
    """The reverse of ``pad``."""
    return padded_BLD.reshape(-1, padded_BLD.shape[-1])[stream.slots_N]


def _fields(ids_BL: Tensor, first_mark: int) -> Tensor:
    """The field of every token (B, L)."""
    is_mark_BL = ids_BL >= first_mark
    begins_BL = is_mark_BL | (ids_BL == CLS_ID) | (ids_BL == SEP_ID)
    begun_BL = torch.where(is_mark_BL, ids_BL - first_mark + 1, 0)
    places_L = torch.arange(ids_BL.shape[1], device=ids_BL.device)
    last_BL = torch.where(begins_BL, places_L, -1).cummax(1).values
    return torch.where(last_BL >= 0, begun_BL.gather(1, last_BL.clamp(min=0)), 0)


def _pack(here_BL: Tensor, ids_BL: Tensor, fields_BL: Tensor, segments_BL: Tensor) -> Stream:
    counts_B = here_BL.sum(1)
    length = max(1, int(counts_B.max()))
    positions_N = (here_BL.long().cumsum(1) - 1)[here_BL]
    rows_N = here_BL.nonzero()[:, 0]
    # A row without tokens may attend to its first slot, which is zero: a softmax over nothing is no number.
    keys_BL = torch.arange(length, device=ids_BL.device) < counts_B.clamp(min=1)[:, None]
    return Stream(
        here_BL=here_BL,
        ids_N=ids_BL[here_BL],
        fields_N=fields_BL[here_BL],
        segments_N=segments_BL[here_BL],
        positions_N=positions_N,
        slots_N=rows_N * length + positions_N,
        keys_BL=keys_BL,
        length=length,
    )
