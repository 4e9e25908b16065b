"""Counts the operations of a step of training: what matrix products take, by part. A multiply-add is two operations.

Element-wise work (norms, GELU, dropout, softmax) is left out, as in torch's FlopCounterMode, which a test compares these counts
with. Kaplan et al. 2020 count six operations a parameter and token; here attention, the vocabulary and the logits of guessed
tokens alone are counted as they are.
"""

from dataclasses import dataclass, fields

from m5model.planning.shape import Shape
from schemas.checks import is_number, require

BACKWARD = 2  # operations of the backward pass, as a multiple of the forward pass


@dataclass(frozen=True, kw_only=True)
class Texts:
    """Describes one sample. Raises ConfigurationError that lists every problem at once."""

    length: float  # mean tokens of a sample
    squared_length: float = 0.0  # mean of the squared tokens; 0 where all samples have one length
    structured_share: float = 0.0  # of tokens, in encoders of two streams
    mask_share: float = 0.15  # of tokens that are guessed

    def __post_init__(self) -> None:
        rules = {
            f"length is {self.length}, expected 1 or more tokens": is_number(self.length, 1),
            f"structured_share is {self.structured_share}, expected 0 to 1": is_number(self.structured_share, 0, 1),
            f"mask_share is {self.mask_share}, expected 0 to 1": is_number(self.mask_share, 0, 1),
        }
        require("texts", rules)

    @property
    def square(self) -> float:
        return self.squared_length or self.length**2


@dataclass(frozen=True, kw_only=True)
class Operations:
    """Operations of a forward pass over one sample, by part."""

    projections: float  # query, key, value and output of self-attention
    feed_forward: float
    attention: float  # the quadratic part: scores, and their sums of values
    crossing: float  # attention of one stream to the other, all of it
    head: float  # the dense layer of the head, on guessed tokens
    vocabulary: float  # logits of guessed tokens

    @property
    def blocks(self) -> float:
        """All but the head: what activation checkpointing computes again."""
        return self.projections + self.feed_forward + self.attention + self.crossing

    @property
    def forward(self) -> float:
        return sum(getattr(self, one.name) for one in fields(self))

    @property
    def training(self) -> float:
        """Forward and backward: what a model needs, however it is computed."""
        return (1 + BACKWARD) * self.forward

    def computed(self, checkpointing: bool) -> float:
        """Operations that devices compute: with checkpointing, the blocks' forward pass twice."""
        return self.training + (self.blocks if checkpointing else 0.0)


def count_operations(shape: Shape, texts: Texts) -> Operations:
    """Of one sample."""
    hidden, inner = shape.hidden_size, shape.intermediate_size
    text, structure = _streams(shape, texts)
    own_tokens = layer_tokens(shape, texts)
    text_square, structure_square = (texts.square * (part / texts.length) ** 2 for part in (text, structure))
    between = texts.square * (text / texts.length) * (structure / texts.length)
    # Each fused side asks with its own tokens, and takes keys and values of the other's: together four matrices on all tokens.
    crossing = shape.fused_layers * (8 * hidden**2 * texts.length + 4 * hidden * (2 * between + texts.length))
    guessed = texts.mask_share * texts.length
    return Operations(
        projections=8 * hidden**2 * own_tokens,
        feed_forward=4 * hidden * inner * own_tokens,
        attention=4 * hidden * (shape.layers * text_square + shape.structure_layers * structure_square),
        crossing=crossing,
        head=2 * hidden**2 * guessed,
        vocabulary=2 * hidden * shape.vocabulary_size * guessed,
    )


def operations_per_token(shape: Shape, texts: Texts) -> float:
    """Of training: forward and backward."""
    return count_operations(shape, texts).training / texts.length


def layer_tokens(shape: Shape, texts: Texts) -> float:
    """Tokens of a sample by the layers that each goes through, of both streams."""
    text, structure = _streams(shape, texts)
    return shape.layers * text + shape.structure_layers * structure


def _streams(shape: Shape, texts: Texts) -> tuple[float, float]:
    """Tokens of text and of structured data of a sample."""
    structured = texts.structured_share if shape.structure_layers else 0.0
    return texts.length * (1 - structured), texts.length * structured
