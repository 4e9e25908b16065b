import json
from dataclasses import fields, replace
from pathlib import Path

import pytest

from m5model.bundles.draft import BundleDraft
from m5model.bundles.find import find_bundle, list_bundles, open_bundle, read_manifest
from m5model.bundles.publish import publish_bundle
from m5model.files.staging import staging_folder
from m5model.gates.evidence import judge
from schemas.bundle import BundleManifest, TrainedStage
from schemas.errors import ConfigurationError, DamagedFileError
from schemas.workspace import Workspace

TEACHER = BundleDraft(
    kind="teacher",
    preset="tiny",
    parameters=1,
    hidden_size=128,
    layers=2,
    vocabulary_size=300,
    max_tokens=128,
    gate=(judge("loss", 1.0, "below", 2.0, "9 texts"),),
    trained=(TrainedStage(stage="pretrain", steps=3, last_loss=1.5, consumed_hash="ab"),),
    recipe={"name": "teacher", "stages": [{"stage": "pretrain"}]},
)
STUDENT = replace(TEACHER, kind="student", quantization="int8-static", parent="teacher-tiny-1")


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


def test_the_same_files_get_the_same_id_and_other_files_another(workspace) -> None:
    first = _publish(workspace, TEACHER)
    again = _publish(workspace, TEACHER)
    other = _publish(workspace, TEACHER, b"other")
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


def test_int8_and_fp32_are_two_spaces_and_weights_decide_them(workspace) -> None:
    one = _publish(workspace, STUDENT, graphs=True)
    two = _publish(workspace, STUDENT, b"other", graphs=True)
    assert len({one.space_id, one.space_id_fp32, two.space_id, two.space_id_fp32}) == 4


def test_the_engines_graph_makes_another_bundle_of_the_same_space_as_its_vectors_have_the_same_bytes(workspace) -> None:
    older = _publish(workspace, STUDENT, graphs=True)
    newer = _publish(workspace, STUDENT, graphs=True, engine_graph=b"engine")
    assert newer.id != older.id
    assert (newer.space_id, newer.space_id_fp32) == (older.space_id, older.space_id_fp32)


def test_a_bundle_without_graphs_has_one_space(workspace) -> None:
    bundle = _publish(workspace, TEACHER)
    assert bundle.space_id == bundle.space_id_fp32


def test_a_published_bundle_is_found_by_its_id_and_opens(workspace) -> None:
    manifest = _publish(workspace, TEACHER)
    assert open_bundle(find_bundle(workspace, manifest.id, "teacher"))[1] == manifest
    assert find_bundle(workspace, None, "teacher") == workspace.bundle(manifest.id)


def test_the_advice_where_there_is_no_bundle_names_the_flag_that_the_caller_has(workspace) -> None:
    with pytest.raises(ConfigurationError, match=r"(?s)no student bundle.*or give --bundle"):
        find_bundle(workspace, None, "student")
    with pytest.raises(ConfigurationError, match=r"(?s)no student bundle.*or give --space"):
        find_bundle(workspace, None, "student", "--space")


def test_a_damaged_bundle_is_refused(workspace) -> None:
    manifest = _publish(workspace, TEACHER)
    Path(workspace.bundle(manifest.id), "model.safetensors").write_bytes(b"weightz")
    with pytest.raises(DamagedFileError, match="model.safetensors"):
        open_bundle(workspace.bundle(manifest.id))


def test_a_manifest_is_read_as_it_was_written(workspace) -> None:
    published = _publish(workspace, STUDENT)
    assert read_manifest(workspace.bundle(published.id)) == published
    assert (published.gate, published.trained, published.recipe) == (STUDENT.gate, STUDENT.trained, STUDENT.recipe)


def test_a_draft_lacks_only_what_follows_from_files_and_publication() -> None:
    missing = {field.name for field in fields(BundleManifest)} - {field.name for field in fields(BundleDraft)}
    assert missing == {"id", "space_id", "space_id_fp32", "created_at", "runtime", "files"}


def test_a_manifest_from_before_gates_held_figures_is_read_without_them(workspace) -> None:
    path = workspace.bundle(_publish(workspace, TEACHER).id)
    file = Path(path, "manifest.json")
    values = {**json.loads(file.read_text()), "gate": {"mlm_steps": 30, "mlm_threshold": "after < before"}}
    del values["recipe"], values["trained"]
    file.write_text(json.dumps(values))
    assert (read_manifest(path).gate, read_manifest(path).recipe) == ((), None)


@pytest.mark.parametrize(("field", "value"), [("kind", "pupil"), ("layers", "two"), ("gate", [{"value": 1}]), ("files", [])])
def test_a_manifest_whose_value_has_another_type_is_damaged_and_the_field_named(workspace, field: str, value: object) -> None:
    path = workspace.bundle(_publish(workspace, TEACHER).id)
    file = Path(path, "manifest.json")
    file.write_text(json.dumps({**json.loads(file.read_text()), field: value}))
    with pytest.raises(DamagedFileError, match=rf"manifest.json is not a BundleManifest: .*{field}"):
        open_bundle(path)


def test_whoever_may_read_the_manifest_may_read_every_file(workspace: Workspace) -> None:
    with staging_folder(workspace) as folder:
        (folder / "tokenizer.json").write_text("{}")
        (folder / "model.safetensors").write_bytes(b"weights")
        (folder / "model.safetensors").chmod(0o600)
        path = Path(workspace.bundle(publish_bundle(workspace, folder, TEACHER).id))
    rights = {file.name: oct(file.stat().st_mode & 0o777) for file in path.iterdir()}
    assert len(rights) == 3 and set(rights.values()) == {rights["manifest.json"]}
