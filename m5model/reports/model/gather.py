"""Gathers the facts of a model's page from an opened bundle and listings. The same bundle and listings give the same facts."""

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from m5model.encoders.activation_ranges import ChannelRange, LayerActivations, observe_activations
from m5model.encoders.integrated_gradients import Gradients, integrate_gradients
from m5model.reports.model import facts
from m5model.reports.model.attention import describe_attention, shortest
from m5model.reports.model.embedding_map import MINIMUM, draw_map, explain_neighbourhoods, find_neighbours
from m5model.reports.model.facts import ActivationFacts, LayerFacts, LookedAt, ModelFacts, Neighbour, ShownListing
from m5model.reports.model.outliers import find_outliers
from m5model.reports.model.sample import choose_sample
from m5model.reports.model.spans import LOOKED_TOKENS, TokenText, cut_into_spans, occlude, read_tokens
from m5model.reports.model.vectors import OpenedModel, open_model
from m5model.reports.model.weights import describe_blocks, describe_graphs
from m5model.runtime.rendering import Rendering, render
from schemas.bundle import ONNX_FILES, WEIGHTS_FILE, BundleManifest
from schemas.errors import ConfigurationError, ModelInputError

LOOKED_AT = 10  # listings whose neighbours and tokens are shown
OBSERVED = 48  # listings that activations are watched on

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class PageRequest:
    """States what a page is to be made of. ``folder`` holds a bundle whose bytes were checked."""

    folder: Path
    manifest: BundleManifest
    listings: Sequence[ShownListing]
    source: str  # of the listings, for people
    sample: int  # listings at most
    threads: int = 1


@dataclass(frozen=True, kw_only=True)
class _Sample:
    """The listings that the model reads, with their tokens and vectors."""

    listings: Sequence[ShownListing]
    texts: Sequence[TokenText]
    vectors_ND: np.ndarray


def gather_facts(request: PageRequest) -> ModelFacts:
    """Everything that the page shows. Raises ConfigurationError where no listing can be read."""
    model = open_model(request.folder, request.manifest, request.threads)
    readable = [listing for listing in request.listings if _is_readable(listing, model.rendering)]
    if not readable:
        raise ConfigurationError(
            f"{request.source}: no listing has a text", next_step="give listings that have at least a title"
        )
    sample = _encode(model, choose_sample(readable, request.sample))
    missing: dict[str, str] = {}
    blocks, layers, attention = _look_at_weights(model, request.manifest, sample, missing)
    if len(sample.listings) < MINIMUM:
        missing[facts.MAP] = f"a map takes {MINIMUM} listings or more, there are {len(sample.listings)}"
    elif reason := explain_neighbourhoods(len(sample.listings)):
        missing[facts.NEIGHBOURHOODS] = reason
    return ModelFacts(
        manifest=request.manifest,
        source=request.source,
        listings=len(sample.listings),
        left_out=len(request.listings) - len(readable),
        vectors=model.vectors,
        blocks=blocks,
        graphs=describe_graphs(request.folder, [name for name in ONNX_FILES if name in request.manifest.files]),
        layers=layers,
        observed=min(OBSERVED, len(sample.listings)),
        attention=attention,
        looked_at=_look_at_listings(model, sample, missing),
        map=None if facts.MAP in missing else draw_map(sample.listings, sample.vectors_ND),
        missing=missing,
    )


def _is_readable(listing: ShownListing, rendering: Rendering) -> bool:
    try:
        return bool(render(listing.fields, rendering))
    except ModelInputError:
        return False


def _encode(model: OpenedModel, listings: Sequence[ShownListing]) -> _Sample:
    log.info("encoding %d listings", len(listings))
    rendered = [render(listing.fields, model.rendering) for listing in listings]
    texts = [read_tokens(model.tokenizer, text, model.max_tokens) for text in rendered]
    return _Sample(listings=listings, texts=texts, vectors_ND=model.encode([text.ids_L for text in texts]))


def _look_at_weights(
    model: OpenedModel, manifest: BundleManifest, sample: _Sample, missing: dict[str, str]
) -> tuple[list[facts.BlockFacts], list[LayerFacts], facts.AttentionFacts | None]:
    """Weights, activations and attention; why not, where the bundle holds no weights or the model does not give them out."""
    if model.encoder is None:
        reason = f"{manifest.id} holds no weights ({WEIGHTS_FILE}), and a graph gives out nothing but vectors"
        missing.update(dict.fromkeys((facts.WEIGHTS, facts.ACTIVATIONS, facts.ATTENTION, facts.GRADIENTS), reason))
        return [], [], None
    log.info("watching activations")
    seen = observe_activations(model.encoder, [text.ids_L for text in sample.texts[:OBSERVED]])
    looked_at = sample.texts[:LOOKED_AT]
    chosen = shortest(looked_at)
    attention = None
    try:
        attention = describe_attention(model.encoder, sample.listings[chosen], looked_at[chosen])
    except ConfigurationError as error:
        missing[facts.ATTENTION] = error.message
    return describe_blocks(model.encoder), [_describe_layer(layer) for layer in seen], attention


def _describe_layer(layer: LayerActivations) -> LayerFacts:
    return LayerFacts(
        name=layer.name,
        hidden=[_describe(name, found) for name, found in layer.hidden.items()],
        products=[_describe(", ".join(found.readers), found) for found in layer.products.values()],
    )


def _describe(name: str, found: ChannelRange) -> ActivationFacts:
    return ActivationFacts(
        name=name,
        root_mean_square=found.root_mean_square,
        largest=float(found.largest_C.max()),
        middle=float(np.median(found.largest_C)),
        outliers=find_outliers(found.largest_C),
        profile=[float(largest) for largest in found.largest_C],
    )


def _look_at_listings(model: OpenedModel, sample: _Sample, missing: dict[str, str]) -> list[LookedAt]:
    """The first listings of the sample: one of each language, as long as there are any."""
    log.info("looking at what %d listings are similar for", min(LOOKED_AT, len(sample.listings)))
    if len(sample.listings) < 2:
        missing[facts.NEIGHBOURS] = "there is no other listing; what its own vector rests on is shown"
        return [_look_at(model, sample, 0, [0], missing)]
    nearest_NK = find_neighbours(sample.vectors_ND)
    return [_look_at(model, sample, row, nearest_NK[row], missing) for row in range(min(LOOKED_AT, len(sample.listings)))]


def _look_at(model: OpenedModel, sample: _Sample, row: int, nearest: Iterable[int], missing: dict[str, str]) -> LookedAt:
    """A listing beside its nearest neighbours; beside itself where it is alone."""
    rows = [int(each) for each in nearest]
    target = sample.texts[rows[0]]
    tokens = read_tokens(model.tokenizer, sample.texts[row].text, min(LOOKED_TOKENS, model.max_tokens))
    occlusion_L, similarity = occlude(model, tokens.ids_L, tokens.is_content_L, sample.vectors_ND[rows[0]])
    gradients = _integrate(model, tokens, target, missing)
    cosines_N = sample.vectors_ND @ sample.vectors_ND[row]
    return LookedAt(
        listing=sample.listings[row],
        neighbours=[Neighbour(cosine=float(cosines_N[each]), listing=sample.listings[each]) for each in rows if each != row],
        spans=cut_into_spans(tokens, gradients.tokens_L if gradients else None, occlusion_L),
        cut=tokens.cut,
        similarity=similarity,
        gap=gradients.gap if gradients else None,
        agreement=_agreement(gradients, occlusion_L, tokens.is_content_L),
    )


def _integrate(model: OpenedModel, tokens: TokenText, target: TokenText, missing: dict[str, str]) -> Gradients | None:
    """By the weights, so the neighbour's vector is theirs, too."""
    if model.encoder is None:
        return None
    try:
        return integrate_gradients(model.encoder, tokens.ids_L, model.encode_with_weights([target.ids_L])[0])
    except ConfigurationError as error:
        missing[facts.GRADIENTS] = error.message
        return None


def _agreement(gradients: Gradients | None, occlusion_L: np.ndarray, is_content_L: np.ndarray) -> float | None:
    """Correlation of both methods over the content tokens; None where it is not defined."""
    if gradients is None or is_content_L.sum() < MINIMUM:
        return None
    both = np.stack([gradients.tokens_L[is_content_L], occlusion_L[is_content_L]])
    if not both.std(axis=1).all():
        return None
    return float(np.corrcoef(both)[0, 1])
