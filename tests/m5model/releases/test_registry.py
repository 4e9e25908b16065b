"""An MLflow registry that follows the releases of a workspace."""

import shutil
from dataclasses import replace
from pathlib import Path

import mlflow
import pytest

import m5model
from m5model.bundles.find import read_manifest, write_manifest
from m5model.bundles.released import append_release, newest_release
from m5model.releases import registry
from m5model.releases.registry import BUNDLE_TAG, MODEL, follow_releases
from schemas.release import Aliases, ReleaseRecord, SpaceBundle
from schemas.workspace import Workspace


@pytest.fixture
def workspace(trained, tmp_path: Path) -> Workspace:
    """Two bundles of the same weights, under two names."""
    found = Workspace(str(tmp_path / "w"))
    for name in ("first", "second"):
        folder = Path(shutil.copytree(trained.student_folder, found.bundle(name)))
        write_manifest(folder, replace(read_manifest(str(folder)), id=name))
    return found


def release(workspace: Workspace, **named: str) -> None:
    before = newest_release(workspace)
    aliases = Aliases(**{alias: SpaceBundle(bundle=bundle, space_id="s") for alias, bundle in named.items()})
    record = ReleaseRecord(
        number=1 if before is None else before.number + 1, action="release", alias="champion", bundle="", at="", aliases=aliases
    )
    append_release(workspace, record)


def named(client: mlflow.MlflowClient) -> dict[str, str]:
    """Bundles by alias."""
    found = client.get_registered_model(MODEL).aliases
    return {alias: client.get_model_version(MODEL, version).tags[BUNDLE_TAG] for alias, version in found.items()}


def test_aliases_follow_and_a_bundle_is_registered_once(
    workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    assert follow_releases(workspace, uri) == ()  # nothing was released
    release(workspace, champion="first")
    assert follow_releases(workspace, uri) == ()
    client = mlflow.MlflowClient(uri, uri)
    assert named(client) == {"champion": "first"}

    release(workspace, champion="second", previous="first")
    with monkeypatch.context() as patched:  # a kill between the version and its alias
        patched.setattr(registry, "_log_evidence", lambda *_: (_ for _ in ()).throw(OSError("killed")))
        assert "killed" in follow_releases(workspace, uri)[0]
    assert named(client) == {"champion": "first"}
    assert follow_releases(workspace, uri) == follow_releases(workspace, uri) == ()
    assert named(client) == {"champion": "second", "previous": "first"}
    assert len(client.search_model_versions(f"name = '{MODEL}'")) == 2

    release(workspace, champion="first")
    assert follow_releases(workspace, uri) == ()
    assert named(client) == {"champion": "first"}

    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    version = client.get_model_version_by_alias(MODEL, "champion")
    loaded = mlflow.pyfunc.load_model(version.source)
    texts = ["red cotton shirt", "青 革 靴"]
    assert loaded.predict(texts).tobytes() == m5model.load(workspace.bundle("first")).encode(texts).tobytes()
    assert loaded.metadata.signature is not None and loaded.metadata.saved_input_example_info is not None


def test_a_registry_that_cannot_be_reached_is_a_warning(workspace: Workspace) -> None:
    release(workspace, champion="first")
    (warning,) = follow_releases(workspace, "mysql://user:secret@127.0.0.1:1/m5")
    assert "was not brought up to the releases" in warning and "secret" not in warning
