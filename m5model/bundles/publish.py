"""A finished folder becomes a bundle of the workspace: named by its content, whole or not there at all."""

import json
from dataclasses import fields
from datetime import UTC, datetime
from pathlib import Path

from m5model.bundles.draft import NO_QUANTIZATION, BundleDraft
from m5model.bundles.find import read_manifest, write_manifest
from m5model.files import storage
from m5model.files.checksums import hash_files
from m5model.runtime import RUNTIME
from schemas.bundle import MANIFEST_FILE, ONNX_FP32_FILE, ONNX_INT8_FILE, TOKENIZER_FILE, WEIGHTS_FILE, BundleManifest
from schemas.space import VectorSpace, sha256_hex
from schemas.workspace import Workspace


def publish_bundle(workspace: Workspace, folder: Path, draft: BundleDraft) -> BundleManifest:
    """Give the folder its id, its space ids and its manifest, and move it into ``bundles/``.

    The id is a hash of the files, so that the same run gives the same id; a bundle that is there already stays as it is.
    """
    files = hash_files(folder, but=MANIFEST_FILE)
    content = sha256_hex(json.dumps(files, sort_keys=True).encode())[:8]
    said = {field.name: getattr(draft, field.name) for field in fields(draft)}
    manifest = BundleManifest(
        **{**said, "rendering": draft.rendering.as_json()},
        id=f"{draft.kind}-{draft.preset}-{content}",
        created_at=datetime.now(UTC).isoformat(timespec="milliseconds"),
        runtime=RUNTIME,
        files=files,
        space_id_fp32=_space_id(files, draft, ONNX_FP32_FILE, NO_QUANTIZATION),
        space_id=_space_id(files, draft, ONNX_INT8_FILE, draft.quantization),
    )
    write_manifest(folder, manifest)
    make_readable(folder)
    path = workspace.bundle(manifest.id)
    return manifest if storage.place_folder(folder, path) else read_manifest(path)


def make_readable(folder: Path) -> None:
    """Give every file the rights that the manifest got as a new file: safetensors leaves its own to their owner alone.

    Else a service that runs as another user could not check, and so not open, the bundle.
    """
    rights = (folder / MANIFEST_FILE).stat().st_mode & 0o666
    for file in (found for found in folder.rglob("*") if found.is_file()):
        file.chmod(file.stat().st_mode | rights)


def _space_id(files: dict[str, dict[str, str | int]], draft: BundleDraft, graph: str, quantization: str) -> str:
    """Identity of the vectors that ``graph`` gives, or the next best file where there is no such graph.

    The engine's own int8 graph does not count: by its gate it gives the bytes of model_int8.onnx.
    """
    if graph not in files:
        graph, quantization = (ONNX_FP32_FILE if ONNX_FP32_FILE in files else WEIGHTS_FILE), NO_QUANTIZATION
    space = VectorSpace(
        rendering=json.dumps(draft.rendering.as_json(), sort_keys=True),
        vocabulary_sha256=str(files[TOKENIZER_FILE]["sha256"]),
        max_tokens=draft.max_tokens,
        pooling=draft.pooling,
        weights_sha256=str(files[graph]["sha256"]),
        quantization=quantization,
        runtime=RUNTIME,
    )
    return space.space_id
