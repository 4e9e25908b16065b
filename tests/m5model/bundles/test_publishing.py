from dataclasses import replace
from pathlib import Path

import pytest

from m5model.bundles.find import find_bundle, list_bundles, open_bundle
from m5model.bundles.publish import publish_bundle, staging_folder
from schemas.errors import ConfigurationError, DamagedFileError
from schemas.workspace import Workspace


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace(str(tmp_path))


def _publish(workspace: Workspace, draft, weights: bytes = b"weights", graphs: bool = False, engine_graph: bytes = b""):
    with staging_folder(workspace) as folder:
        (folder / "model.safetensors").write_bytes(weights)
        (folder / "tokenizer.json").write_text("{}")
        if graphs:
            (folder / "onnx").mkdir()
            (folder / "onnx" / "model.onnx").write_bytes(b"fp32" + weights)
            (folder / "onnx" / "model_int8.onnx").write_bytes(b"int8" + weights)
            if engine_graph:
                (folder / "onnx" / "model_int8_engine.onnx").write_bytes(engine_graph)
        return publish_bundle(workspace, folder, draft)


def test_the_same_files_get_the_same_id_and_other_files_another(workspace, trained) -> None:
    first = _publish(workspace, trained.teacher)
    again = _publish(workspace, replace(trained.teacher, created_at="2030-01-01T00:00:00+00:00"))
    other = _publish(workspace, trained.teacher, b"other")
    assert again == first
    assert other.id != first.id
    assert first.id.startswith("teacher-tiny-")
    assert [bundle.id for bundle in list_bundles(workspace)] == sorted([first.id, other.id])


def test_a_run_that_dies_before_the_end_leaves_no_bundle(workspace) -> None:
    with pytest.raises(KeyboardInterrupt), staging_folder(workspace) as folder:
        (folder / "model.safetensors").write_bytes(b"half")
        raise KeyboardInterrupt
    assert list_bundles(workspace) == []
    assert list(Path(workspace.root).rglob("model.safetensors")) == []


def test_int8_and_fp32_are_two_spaces_and_weights_decide_them(workspace, trained) -> None:
    one = _publish(workspace, trained.student, graphs=True)
    two = _publish(workspace, trained.student, b"other", graphs=True)
    assert len({one.space_id, one.space_id_fp32, two.space_id, two.space_id_fp32}) == 4


def test_the_engines_graph_makes_another_bundle_of_the_same_space_as_its_vectors_have_the_same_bytes(
    workspace, trained
) -> None:
    older = _publish(workspace, trained.student, graphs=True)
    newer = _publish(workspace, trained.student, graphs=True, engine_graph=b"engine")
    assert newer.id != older.id
    assert (newer.space_id, newer.space_id_fp32) == (older.space_id, older.space_id_fp32)


def test_a_bundle_without_graphs_has_one_space(workspace, trained) -> None:
    bundle = _publish(workspace, trained.teacher)
    assert bundle.space_id == bundle.space_id_fp32


def test_a_published_bundle_is_found_by_its_id_and_opens(workspace, trained) -> None:
    manifest = _publish(workspace, trained.teacher)
    assert open_bundle(find_bundle(workspace, manifest.id, "teacher"))[1] == manifest
    assert find_bundle(workspace, None, "teacher") == workspace.bundle(manifest.id)
    with pytest.raises(ConfigurationError, match="no student bundle"):
        find_bundle(workspace, None, "student")


def test_a_damaged_bundle_is_refused(workspace, trained) -> None:
    manifest = _publish(workspace, trained.teacher)
    Path(workspace.bundle(manifest.id), "model.safetensors").write_bytes(b"weightz")
    with pytest.raises(DamagedFileError, match="model.safetensors"):
        open_bundle(workspace.bundle(manifest.id))
