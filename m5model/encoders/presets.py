"""Sizes of encoders, by name. Geometry only: how they learn is said by recipes (m5model.training.recipes). No torch here.

All are BERT-style (word + learned position embeddings, post-layer-norm blocks, no pooler). Those of one stream are built by
m5model.encoders.bert; those that read text and structured data apart by m5model.encoders.cross_attention. Vocabulary sizes are
multiples of 64, which is what tensor cores like.
"""

from dataclasses import dataclass, replace

from m5model.runtime.rendering import DEFAULT_RENDERING, Rendering
from schemas.checks import is_whole, require
from schemas.errors import ConfigurationError

NO_SIZES = ("name", "parameters", "architecture", "pooling")  # fields that are no whole number from 1 on


@dataclass(frozen=True, kw_only=True)
class EncoderPreset:
    """One size of encoder. Raises ConfigurationError that lists every problem at once."""

    name: str
    layers: int
    hidden_size: int  # dimensions of a vector
    heads: int  # attention heads
    intermediate_size: int  # of the feed-forward block
    vocabulary_size: int  # tokens asked for; a small corpus may give fewer
    max_tokens: int  # tokens per text, special ones included
    parameters: int  # of the encoder at the full vocabulary size; a test holds it

    def __post_init__(self) -> None:
        sizes = {name: value for name, value in vars(self).items() if name not in NO_SIZES}
        rules = {f"{name} is {value}, expected 1 or more": is_whole(value, 1) for name, value in sizes.items()}
        shared = f"hidden_size is {self.hidden_size} and heads is {self.heads}, expected a multiple of heads"
        if all(rules.values()):
            rules[shared] = self.hidden_size % self.heads == 0
        require(f"preset {self.name}", rules)


def layer_parameters(hidden_size: int, intermediate_size: int) -> int:
    """Parameters of one layer: attention, feed-forward block, two layer norms."""
    attention = 4 * hidden_size * (hidden_size + 1)
    feed_forward = (intermediate_size + 1) * hidden_size + (hidden_size + 1) * intermediate_size
    return attention + feed_forward + 4 * hidden_size


@dataclass(frozen=True, kw_only=True)
class CrossAttentionPreset(EncoderPreset):
    """One size of encoder with two streams: ``layers`` are those of the text stream.

    The structured stream has the last ``structure_layers`` of them beside it, and in the last ``fused_layers`` both attend to
    each other.
    """

    structure_layers: int
    fused_layers: int

    def __post_init__(self) -> None:
        super().__post_init__()
        found = f"layers {self.layers}, structure_layers {self.structure_layers}, fused_layers {self.fused_layers}"
        in_order = self.layers >= self.structure_layers >= self.fused_layers
        require(f"preset {self.name}", {f"{found}, expected none to be more than the one before": in_order})


@dataclass(frozen=True, kw_only=True)
class WholePreset(EncoderPreset):
    """The size of an encoder of others that is taken as it is, in its own layout. ``heads`` is 1 where it states none."""

    architecture: str  # model_type of transformers
    pooling: str  # mean or cls


TINY = EncoderPreset(
    name="tiny",
    layers=2,
    hidden_size=128,
    heads=4,
    intermediate_size=512,
    vocabulary_size=8_192,
    max_tokens=128,
    parameters=1_461_760,
)

MINI = EncoderPreset(
    name="mini",
    layers=4,
    hidden_size=384,
    heads=6,
    intermediate_size=1_536,
    vocabulary_size=32_000,
    max_tokens=256,
    parameters=19_484_928,
)

# The student of 2021: published at 272 MB in fp32.
STUDENT_70M = EncoderPreset(
    name="student-70m",
    layers=4,
    hidden_size=768,
    heads=12,
    intermediate_size=3_072,
    vocabulary_size=50_752,
    max_tokens=512,
    parameters=67_723_776,
)

TINY_CROSS = CrossAttentionPreset(
    name="tiny-cross",
    layers=2,
    structure_layers=1,
    fused_layers=1,
    hidden_size=128,
    heads=4,
    intermediate_size=512,
    vocabulary_size=8_192,
    max_tokens=128,
    parameters=1_810_048,
)

SMALL_CROSS = CrossAttentionPreset(
    name="small-cross",
    layers=4,
    structure_layers=2,
    fused_layers=2,
    hidden_size=384,
    heads=6,
    intermediate_size=1_536,
    vocabulary_size=32_000,
    max_tokens=256,
    parameters=25_502_208,
)

# The teacher of 2021, published at 2,052 MB in fp32 and with 24 layers of one stream. Cross-attention is a third of a layer:
# 14 + 6 layers and 12 times cross-attention have the parameters of 24 layers.
TEACHER_500M = CrossAttentionPreset(
    name="teacher-500m",
    layers=14,
    structure_layers=6,
    fused_layers=6,
    hidden_size=1_024,
    heads=16,
    intermediate_size=4_096,
    vocabulary_size=205_248,
    max_tokens=512,
    parameters=513_542_144,
)

XL_1_5B = CrossAttentionPreset(
    name="xl-1.5b",
    layers=12,
    structure_layers=6,
    fused_layers=6,
    hidden_size=2_048,
    heads=16,
    intermediate_size=8_192,
    vocabulary_size=205_248,
    max_tokens=512,
    parameters=1_530_347_520,
)

PRESETS: dict[str, EncoderPreset] = {
    preset.name: preset for preset in (TINY, MINI, STUDENT_70M, TINY_CROSS, SMALL_CROSS, TEACHER_500M, XL_1_5B)
}


def get_preset(name: str) -> EncoderPreset:
    """The preset of that name. Raises ConfigurationError naming those that there are."""
    if name not in PRESETS:
        raise ConfigurationError(f"no preset {name!r}", next_step=f"give one of: {', '.join(PRESETS)}")
    return PRESETS[name]


def rendering_of(preset: EncoderPreset, rendering: Rendering = DEFAULT_RENDERING) -> Rendering:
    """``rendering``, with marks where the encoder reads them."""
    return replace(rendering, marked=isinstance(preset, CrossAttentionPreset))


def lower_weights(preset: EncoderPreset, layers: int) -> tuple[str, ...]:
    """Beginnings of the names of the weights below the upper ``layers`` layers; none of an encoder that is taken as it is."""
    if isinstance(preset, WholePreset):
        return ()
    place = "levels" if isinstance(preset, CrossAttentionPreset) else "transformer.layer"
    return ("embeddings.", *(f"{place}.{layer}." for layer in range(preset.layers - layers)))
