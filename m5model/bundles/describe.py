"""Describes a bundle from its manifest, for people and for programs."""

from collections.abc import Iterator

from m5model.bundles.find import open_bundle
from schemas.bundle import ONNX_FILES, WEIGHTS_FILE, BundleManifest
from schemas.manifests import to_json

MEGABYTE = 1_000_000
_GRAPHS = (WEIGHTS_FILE, *ONNX_FILES)


def verified_manifest(path: str) -> BundleManifest:
    """The manifest of a bundle whose every byte was checked. Raises DamagedFileError naming the first file that differs."""
    return open_bundle(path)[1]


def as_json(manifest: BundleManifest) -> str:
    return to_json(manifest)


def as_text(manifest: BundleManifest) -> str:
    """A table for people: what it is, its files' sizes, and the figures of its gate beside their thresholds."""
    lines = [*_rows(_identity(manifest)), "", "files", *_rows(_sizes(manifest)), "", "gate", *_rows(_gate(manifest))]
    return "\n".join(lines) + "\n"


def _identity(manifest: BundleManifest) -> Iterator[tuple[str, str]]:
    yield "bundle", f"{manifest.id}, every file as the manifest says"
    yield "kind", f"{manifest.kind}, preset {manifest.preset}, made {manifest.created_at}"
    yield (
        "vector space",
        f"{manifest.space_id} (fp32: {manifest.space_id_fp32}), {manifest.hidden_size} dimensions, {manifest.pooling}",
    )
    for one in manifest.same_space:
        yield "queries for", f"{one.bundle}, space {one.space_id}: vectors of both may be compared"
    yield "encoder", f"{manifest.layers} layers, {manifest.parameters:,} parameters, {manifest.max_tokens} tokens at most"
    yield "vocabulary", f"{manifest.vocabulary_size:,} tokens"
    yield "quantization", manifest.quantization
    training_set = manifest.training_set
    yield "training set", f"{training_set['name']}/{training_set['version']}" if training_set else "none"
    if manifest.label_sets:
        yield "label sets", ", ".join(f"{one['name']}/{one['version']}" for one in manifest.label_sets.values())
    yield "parent", manifest.parent or "none"
    for stage in manifest.trained:
        yield f"stage {stage.stage}", f"{stage.steps:,} steps"


def _sizes(manifest: BundleManifest) -> Iterator[tuple[str, str]]:
    sizes = {name: int(str(entry["bytes"])) for name, entry in manifest.files.items()}
    for name in _GRAPHS:
        if name in sizes:
            yield name, f"{sizes[name] / MEGABYTE:,.2f} MB"
    rest = [size for name, size in sizes.items() if name not in _GRAPHS]
    yield f"{len(rest)} others", f"{sum(rest) / MEGABYTE:,.2f} MB"


def _gate(manifest: BundleManifest) -> Iterator[tuple[str, str]]:
    if not manifest.gate:
        yield "no figures", "it was made before gates held any, or by no recipe"
    for figure in manifest.gate:
        yield figure.name, f"{figure.describe()}{f', on {figure.measured_on}' if figure.measured_on else ''}"


def _rows(pairs: Iterator[tuple[str, str]]) -> list[str]:
    listed = list(pairs)
    width = max((len(name) for name, _ in listed), default=0)
    return [f"  {name:<{width}}  {value}" for name, value in listed]
