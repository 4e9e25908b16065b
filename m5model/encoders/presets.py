"""Sizes of encoders, by name. Geometry only: how they learn is said by recipes (m5model.training.recipes). No torch here.

All are BERT-style (word + learned position embeddings, post-layer-norm blocks, no pooler, no token types),
built by m5model.encoders.bert. Vocabulary sizes are multiples of 64, which is what tensor cores like.
"""

from dataclasses import dataclass

from schemas.checks import is_whole, require
from schemas.errors import ConfigurationError


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
        sizes = {name: value for name, value in vars(self).items() if name not in ("name", "parameters")}
        rules = {f"{name} is {value}, expected 1 or more": is_whole(value, 1) for name, value in sizes.items()}
        shared = f"hidden_size is {self.hidden_size} and heads is {self.heads}, expected a multiple of heads"
        if all(rules.values()):
            rules[shared] = self.hidden_size % self.heads == 0
        require(f"preset {self.name}", rules)


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

# The teacher of 2021: published at 2,052 MB in fp32.
TEACHER_500M = EncoderPreset(
    name="teacher-500m",
    layers=24,
    hidden_size=1_024,
    heads=16,
    intermediate_size=4_096,
    vocabulary_size=205_248,
    max_tokens=512,
    parameters=513_009_664,
)

XL_1_5B = EncoderPreset(
    name="xl-1.5b",
    layers=22,
    hidden_size=2_048,
    heads=16,
    intermediate_size=8_192,
    vocabulary_size=205_248,
    max_tokens=512,
    parameters=1_529_282_560,
)

PRESETS: dict[str, EncoderPreset] = {preset.name: preset for preset in (TINY, MINI, STUDENT_70M, TEACHER_500M, XL_1_5B)}


def get_preset(name: str) -> EncoderPreset:
    """The preset of that name. Raises ConfigurationError naming those that there are."""
    if name not in PRESETS:
        raise ConfigurationError(f"no preset {name!r}", next_step=f"give one of: {', '.join(PRESETS)}")
    return PRESETS[name]
