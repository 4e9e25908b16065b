"""Holds the facts of a model's page as plain values: ``gather`` finds them, ``page`` shows them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from schemas.bundle import BundleManifest

# Parts of the page that a bundle may be unable to show; ``ModelFacts.missing`` says why.
WEIGHTS, ACTIVATIONS, ATTENTION, GRADIENTS, MAP, NEIGHBOURS, NEIGHBOURHOODS = (
    "weights",
    "activations",
    "attention",
    "gradients",
    "map",
    "neighbours",
    "neighbourhoods",
)


@dataclass(frozen=True, kw_only=True)
class ShownListing:
    """A listing as the page shows it. ``fields`` are what the encoder's rendering reads."""

    locale: str
    item_id: str
    language: str  # empty where it is not stated
    group: str  # the category that it is coloured by; empty for none
    fields: Mapping[str, object] = field(repr=False)

    @property
    def title(self) -> str:
        return str(self.fields["title"])

    def text_of(self, name: str) -> str:
        return str(self.fields.get(name) or "")


@dataclass(frozen=True, kw_only=True)
class TensorFacts:
    """One tensor of weights."""

    name: str
    shape: tuple[int, ...]
    parameters: int
    deviation: float  # standard deviation
    largest: float  # magnitude
    kurtosis: float  # excess: 0 for a normal distribution
    outliers: int  # channels of a matrix, see m5model.reports.model.outliers


@dataclass(frozen=True, kw_only=True)
class BlockFacts:
    """The weights of one layer, of the embeddings, or of what is neither."""

    name: str
    tensors: Sequence[TensorFacts]

    @property
    def parameters(self) -> int:
        return sum(tensor.parameters for tensor in self.tensors)

    @property
    def largest(self) -> float:
        return max(tensor.largest for tensor in self.tensors)

    @property
    def outliers(self) -> int:
        return sum(tensor.outliers for tensor in self.tensors)


@dataclass(frozen=True, kw_only=True)
class GraphFacts:
    """The numbers of one type that an ONNX graph holds."""

    file: str
    type: str
    tensors: int
    values: int
    bytes: int


@dataclass(frozen=True, kw_only=True)
class Outlier:
    """A channel that is far larger than the middle one."""

    channel: int
    largest: float
    ratio: float  # to the median channel


@dataclass(frozen=True, kw_only=True)
class ActivationFacts:
    """One activation over a sample of listings."""

    name: str
    root_mean_square: float
    largest: float
    middle: float  # the largest magnitude of the median channel
    outliers: Sequence[Outlier]
    profile: Sequence[float]  # the largest magnitude of each channel


@dataclass(frozen=True, kw_only=True)
class LayerFacts:
    """The activations of one layer."""

    name: str
    hidden: Sequence[ActivationFacts]
    products: Sequence[ActivationFacts]


@dataclass(frozen=True, kw_only=True)
class HeatMap:
    """Shows what tokens attend to in one layer: rows ask, columns are asked."""

    title: str
    weights: Sequence[Sequence[float]]
    ignored: Sequence[float] | None  # a column of its own: the share that goes to no token
    summary: str


@dataclass(frozen=True, kw_only=True)
class LayerAttention:
    """One layer of the text whose attention is shown."""

    name: str
    maps: Sequence[HeatMap]


@dataclass(frozen=True, kw_only=True)
class AttentionFacts:
    """All layers of one text."""

    listing: ShownListing
    tokens: Sequence[str]
    cut: int  # tokens behind those shown
    layers: Sequence[LayerAttention]


@dataclass(frozen=True, kw_only=True)
class Span:
    """A piece of a text: of one token, of several that stand for one character, or what no token covers."""

    text: str
    is_mark: bool = False  # the name of a field, not text of the listing
    gradients: float | None = None
    occlusion: float | None = None


@dataclass(frozen=True, kw_only=True)
class Neighbour:
    """A listing near another."""

    cosine: float
    listing: ShownListing


@dataclass(frozen=True, kw_only=True)
class LookedAt:
    """One of the listings that are looked at: what its similarity with its nearest neighbour rests on, and who is near."""

    listing: ShownListing
    neighbours: Sequence[Neighbour]
    spans: Sequence[Span]
    cut: int  # tokens behind those that were looked at
    similarity: float  # with the nearest neighbour, by the vectors of the page; of what was looked at
    gap: float | None  # what integrated gradients miss of completeness; None without gradients
    agreement: float | None  # correlation of both methods over the spans


@dataclass(frozen=True, kw_only=True)
class Projection:
    """The sample's vectors in two dimensions."""

    name: str
    points: Sequence[tuple[float, float]]  # by listing, as in EmbeddingMap
    meaning: str  # how it is to be read


@dataclass(frozen=True, kw_only=True)
class Likeness:
    """Counts how often near listings are alike, in all dimensions."""

    name: str  # of the vectors
    language: float  # share of nearest neighbours of the same language
    group: float  # of the same category


@dataclass(frozen=True, kw_only=True)
class EmbeddingMap:
    """The sample, looked at from several sides."""

    listings: Sequence[ShownListing]
    projections: Sequence[Projection]
    likeness: Sequence[Likeness]  # the last one is that of listings drawn at random


@dataclass(frozen=True, kw_only=True)
class ModelFacts:
    """One bundle, seen through a sample of listings."""

    manifest: BundleManifest
    source: str  # where the listings are from
    listings: int  # of the sample
    left_out: int  # listings that could not be read
    vectors: str  # what computes the vectors
    blocks: Sequence[BlockFacts]
    graphs: Sequence[GraphFacts]
    layers: Sequence[LayerFacts]
    observed: int  # listings that activations were watched on
    attention: AttentionFacts | None
    looked_at: Sequence[LookedAt]
    map: EmbeddingMap | None
    missing: Mapping[str, str]  # part of the page → why it is not shown
