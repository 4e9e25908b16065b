"""An encoder of two streams begins with the weights of one that reads text: its layers, words and positions.

What that one does not have is new: cross-attention, fields, segments, marks, and a stream that is to begin anew. New
cross-attention gives little at first, so that the text stream begins near the original's vectors.
"""

from collections.abc import Sequence
from dataclasses import replace

from torch import Tensor, nn

from m5model.data.vocabulary_marks import add_marks
from m5model.encoders.bert import BertEncoder
from m5model.encoders.cross_attention import CrossAttentionEncoder, build_cross_attention
from m5model.encoders.huggingface import Checkpoint
from m5model.encoders.presets import CrossAttentionPreset, EncoderPreset
from m5model.encoders.streams import STREAMS
from m5model.runtime.rendering import MARKS
from schemas.checks import require

# Standard deviation of new cross-attention's last matrix.
FIRST_CROSSING = 1e-3


def cross_geometry(text: EncoderPreset, structure_layers: int) -> CrossAttentionPreset:
    """The size of an encoder that has ``structure_layers`` beside the last layers of ``text``, all fused."""
    return CrossAttentionPreset(
        name=f"{text.name}+{structure_layers}",
        layers=text.layers,
        structure_layers=structure_layers,
        fused_layers=structure_layers,
        hidden_size=text.hidden_size,
        heads=text.heads,
        intermediate_size=text.intermediate_size,
        vocabulary_size=text.vocabulary_size + len(MARKS),
        max_tokens=text.max_tokens,
        parameters=0,
    )


def start_streams(
    taken: Checkpoint, preset: CrossAttentionPreset, streams: Sequence[str] = STREAMS, seed: int = 0
) -> Checkpoint:
    """A cross-attention encoder of that size whose ``streams`` begin with the layers of the encoder that was taken.

    A layer of the structured stream begins with the layer that stands at its level. The vocabulary is that of the origin, and
    the marks behind it. Raises ConfigurationError for a stream of another name, or for another number of layers.
    """
    origin = taken.encoder
    if not isinstance(origin, BertEncoder):
        raise TypeError(f"{type(origin).__name__} is no BertEncoder")
    layers = len(origin.transformer.layer)
    require("starting weights", {f"{preset.layers} layers, the origin has {layers}": preset.layers == layers})
    encoder = build_cross_attention(preset, origin.vocabulary_size + len(MARKS), seed)
    came = {**_embeddings(origin, encoder, streams), **_layers(origin, encoder, streams)}
    encoder.load_state_dict(came, strict=False)
    nn.init.zeros_(encoder.embeddings.fields.weight)
    nn.init.zeros_(encoder.embeddings.segments.weight)
    _quieten(encoder.levels)
    rows = f"{len(MARKS)} rows of embeddings.word_embeddings.weight"
    new = (*taken.report.new, *(name for name in encoder.state_dict() if name not in came), rows)
    report = replace(taken.report, came=tuple(came), new=new)
    return Checkpoint(encoder=encoder.eval(), tokenizer=add_marks(taken.tokenizer), report=report)


def _embeddings(origin: BertEncoder, encoder: CrossAttentionEncoder, streams: Sequence[str]) -> dict[str, Tensor]:
    """Words of both, positions and the norm of the streams that begin; what the origin does not know begins as zeros."""
    table_VD = encoder.token_table.detach().clone()
    table_VD[: origin.vocabulary_size] = origin.token_table.detach()
    weights = origin.embeddings.state_dict()
    found = {"embeddings.word_embeddings.weight": table_VD}
    for stream in streams:
        found[f"embeddings.{stream}_positions.weight"] = weights["position_embeddings.weight"]
        found[f"embeddings.{stream}_norm.weight"] = weights["LayerNorm.weight"]
        found[f"embeddings.{stream}_norm.bias"] = weights["LayerNorm.bias"]
    return found


def _layers(origin: BertEncoder, encoder: CrossAttentionEncoder, streams: Sequence[str]) -> dict[str, Tensor]:
    """The weights of the layers of ``streams`` by their names here."""
    wanted = encoder.state_dict()
    found: dict[str, Tensor] = {}
    for name, tensor in origin.transformer.layer.state_dict().items():
        place, _, rest = name.partition(".")
        found |= {f"levels.{place}.{stream}.{rest}": tensor for stream in streams}
    return {name: tensor for name, tensor in found.items() if name in wanted}  # not every level has both streams


def _quieten(levels: nn.ModuleList) -> None:
    for name, matrix in levels.named_parameters():
        if name.endswith("crossing.out_lin.weight"):
            nn.init.normal_(matrix, std=FIRST_CROSSING)
