"""Releases: aliases move by evidence, one at a time, and back."""

import json
import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from m5model.bundles.find import find_bundle, write_manifest
from m5model.bundles.released import list_releases, newest_release, served_bundles
from m5model.cli import main
from m5model.data.randomness import generator_for
from m5model.files.checksums import sha256_of
from m5model.labels.reading import ColumnMap
from m5model.labels.splitting import SplitPlan
from m5model.partners.vectors import Vectors, given_vectors
from m5model.releases import examination, promotion
from m5model.releases.examination import find_labels
from m5model.releases.gate import ReleaseGate, read_gate
from m5model.releases.promotion import ReleaseRequest, close_window, release, roll_back
from schemas.bundle import BundleManifest
from schemas.errors import ConfigurationError, GateRefusedError
from schemas.labels import LABEL_KINDS
from schemas.workspace import Workspace
from spark.labels.import_labels import ImportSettings, Pinned, import_labels
from tests.m5model.partners.conftest import DIMENSIONS, Row, pair_rows, product_vectors
from tests.m5model.partners.searches import LANGUAGES, query_rows, read_number

Of = Callable[[str], Vectors]
SHARES = {"learn": 0.2, "validate": 0.2, "test": 0.6}
PAIRS, QUERIES = pair_rows(), query_rows(240)


@pytest.fixture(scope="module")
def labelled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace with a label set of pairs and one of searches in two languages."""
    root = tmp_path_factory.mktemp("labelled")
    Path(root, "evidence").mkdir()
    for name, kind, rows in (("offers", "pairs", PAIRS), ("queries", "relevance", QUERIES)):
        _import(Workspace(str(root)), name, kind, rows)
    return root


@pytest.fixture
def workspace(labelled: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    """With the students good, worse, like_good and no_german; their vectors are made by their name."""
    found = Workspace(str(tmp_path / "w"))
    Path(found.releases).mkdir(parents=True)
    Path(found.releases, "evidence").symlink_to(labelled / "evidence")  # what one test measured, the next ones find
    Path(found.label_sets).symlink_to(Path(Workspace(str(labelled)).label_sets))
    for number, name in enumerate(("good", "worse", "like_good", "no_german")):
        _write_bundle(found, name, number)
    monkeypatch.setattr(examination, "open_vectors", lambda _, bundle, threads: (_vectors(bundle), None))
    return found


def _import(workspace: Workspace, name: str, kind: str, rows: list[Row]) -> None:
    columns = set(LABEL_KINDS[kind].table.column_names)
    settings = ImportSettings(
        name=name,
        kind=LABEL_KINDS[kind],
        columns=ColumnMap(kind=LABEL_KINDS[kind]),
        split=SplitPlan(shares=SHARES),
        source="test",
    )
    import_labels(workspace, settings, ({k: v for k, v in row.items() if k in columns} for row in rows), lambda _: Pinned())


def _write_bundle(workspace: Workspace, name: str, number: int, **values: Any) -> None:
    folder = Path(workspace.bundle(name))
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(name)
    manifest = BundleManifest(
        id=name,
        space_id=f"{number:016}",
        space_id_fp32=f"{number + 100:016}",
        kind="student",
        preset="tiny",
        created_at=f"2026-01-0{number + 1}T00:00:00+00:00",
        parameters=1,
        hidden_size=16,
        layers=1,
        vocabulary_size=10,
        max_tokens=8,
        pooling="mean",
        rendering={},
        runtime="none",
        quantization="none",
        training_set=None,
        parent=None,
        gate=(),
        files={"config.json": {"sha256": sha256_of(str(folder / "config.json")), "bytes": len(name)}},
    )
    write_manifest(folder, replace(manifest, **values))


def _vectors(bundle: str) -> Vectors:
    """Of all texts of both sets: good and like_good are as good, worse is everywhere worse, no_german in German queries."""
    noise = 6.0 if bundle == "worse" else 0.1
    offers = product_vectors(PAIRS, noise=noise, seed=len(bundle))
    found = dict(zip(*offers.known(), strict=True))
    texts = sorted({row[f"{side}_text"] for row in PAIRS for side in ("left", "right")})
    found |= dict(zip(texts, offers.of(texts), strict=True))
    for text in sorted({row[name] for row in QUERIES for name in ("query", "text")}):
        found[text] = _drawn(read_number(text) if _is_kept(bundle, text) else text)
    return given_vectors(found, f"space-of-{bundle}")


def _is_kept(bundle: str, text: str) -> bool:
    german = text < "k" and read_number(text) % 2 == LANGUAGES.index("de")
    return bundle != "worse" and not (bundle == "no_german" and german)


def _drawn(what: int | str) -> np.ndarray:
    """A query and the listing that answers it have the same number."""
    drawn = generator_for("vector", what).normal(size=DIMENSIONS)
    return np.asarray(drawn / np.linalg.norm(drawn), np.float32)


def _ask(bundle: str, alias: str = "champion", **values: Any) -> ReleaseRequest:
    return ReleaseRequest(bundle=bundle, alias=alias, **values)  # type: ignore[arg-type]


def test_the_first_champion_is_measured_by_itself_and_opens_no_window(workspace: Workspace) -> None:
    found = release(workspace, _ask("good"))
    assert found.evidence is not None and found.evidence.champion is None
    assert {figure.name for figure in found.evidence.figures} == {"offers_pr_auc", "queries_ndcg_at_10"}
    assert found.record.window is None
    assert [one.bundle for one in served_bundles(workspace)] == ["good"]


def test_a_bundle_that_is_worse_everywhere_is_refused_and_its_figures_are_kept(workspace: Workspace) -> None:
    release(workspace, _ask("good"))
    with pytest.raises(GateRefusedError, match=r"falls short beside the champion good, .*\n  offers_pr_auc_gap ") as refused:
        release(workspace, _ask("worse"))
    assert "queries_ndcg_at_10_gap_de" in str(refused.value)
    assert len(list_releases(workspace)) == 1
    kept = [json.loads(file.read_text()) for file in Path(workspace.releases, "evidence").glob("*.json")]
    assert ("worse", "good") in {(one["bundle"], one["champion"]) for one in kept}


def test_a_bundle_that_is_worse_in_one_language_only_is_refused_naming_it(workspace: Workspace) -> None:
    release(workspace, _ask("good"))
    only_language = ReleaseGate(max_gap=1.0)
    with pytest.raises(GateRefusedError) as refused:
        release(workspace, _ask("no_german", gate=only_language))
    assert "queries_ndcg_at_10_gap_de" in str(refused.value)
    assert "gap_en" not in str(refused.value) and "offers" not in str(refused.value)


def test_chance_refuses_nothing(workspace: Workspace) -> None:
    """Vectors that are as good, drawn anew, are never shown to be worse."""
    release(workspace, _ask("good"))
    found = release(workspace, _ask("like_good"))
    assert found.evidence is not None
    gaps = [figure for figure in found.evidence.figures if "_gap" in figure.name]
    assert len(gaps) == 4 and all(figure.holds for figure in gaps)


def test_evidence_is_not_made_twice(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    release(workspace, _ask("good"))
    release(workspace, _ask("like_good", "candidate"))
    monkeypatch.setattr(examination, "open_vectors", lambda *_, **__: pytest.fail("encoded again"))
    assert release(workspace, _ask("like_good")).record.aliases.candidate is None


def test_releasing_what_is_released_does_nothing(workspace: Workspace) -> None:
    release(workspace, _ask("good"))
    again = release(workspace, _ask("good"))
    assert not again.is_new and len(list_releases(workspace)) == 1


def test_jobs_use_the_champion_and_not_the_newest_student(workspace: Workspace) -> None:
    assert find_bundle(workspace, None, "student").endswith("no_german")
    release(workspace, _ask("good"))
    assert find_bundle(workspace, None, "student").endswith("good")


def test_two_spaces_are_served_until_the_windows_end(workspace: Workspace) -> None:
    release(workspace, _ask("good"))
    record = release(workspace, _ask("like_good", window_days=3.0)).record
    served = [(one.bundle, one.views) for one in served_bundles(workspace)]
    assert served == [("good", workspace), ("like_good", workspace.next)]
    after = datetime.fromisoformat(record.at) + timedelta(days=3.01)
    assert [(one.bundle, one.views) for one in served_bundles(workspace, after)] == [("like_good", workspace)]


def test_the_evidence_says_how_a_consumer_of_the_old_space_fares(workspace: Workspace) -> None:
    release(workspace, _ask("good"))
    evidence = release(workspace, _ask("like_good")).evidence
    assert evidence is not None
    found = {figure.name: figure.value for figure in evidence.figures}
    assert found["queries_ndcg_at_10_old_consumer"] == pytest.approx(found["queries_ndcg_at_10_learned_anew"])


def test_no_third_space_while_a_window_is_open(workspace: Workspace) -> None:
    release(workspace, _ask("good"))
    release(workspace, _ask("like_good"))
    with pytest.raises(ConfigurationError, match="a third one would break them"):
        release(workspace, _ask("worse"))
    assert release(workspace, _ask("good", "candidate")).record.window is not None


def test_a_window_can_be_closed_early_and_only_once(workspace: Workspace) -> None:
    release(workspace, _ask("good"))
    release(workspace, _ask("like_good"))
    close_window(workspace)
    assert [(one.bundle, one.views) for one in served_bundles(workspace)] == [("like_good", workspace)]
    with pytest.raises(ConfigurationError, match="no window is open"):
        close_window(workspace)


def test_a_rollback_serves_the_champion_before_and_closes_the_window(workspace: Workspace) -> None:
    release(workspace, _ask("good"))
    release(workspace, _ask("like_good"))
    record = roll_back(workspace).record
    assert record.aliases.previous is None  # a second rollback cannot bring back what was wrong
    assert [(one.bundle, one.views) for one in served_bundles(workspace)] == [("good", workspace)]
    assert not roll_back(workspace).is_new and len(list_releases(workspace)) == 3  # as after a kill


def test_there_is_nothing_to_roll_back_to_before_a_second_champion(workspace: Workspace) -> None:
    release(workspace, _ask("good"))
    with pytest.raises(ConfigurationError, match="no champion came before"):
        roll_back(workspace)


def test_of_two_releases_at_once_one_wins_and_the_other_is_told(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    release(workspace, _ask("good"))
    together = threading.Barrier(2)
    told: list[str] = []
    append = promotion.append_release
    monkeypatch.setattr(promotion, "append_release", lambda *given: (together.wait(30), append(*given)))

    def ask(bundle: str) -> None:
        try:
            release(workspace, _ask(bundle, "candidate", gate=ReleaseGate(max_gap=1.0, max_language_gap=1.0)))
        except ConfigurationError as error:
            told.append(str(error))

    threads = [threading.Thread(target=ask, args=(name,)) for name in ("worse", "like_good")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    newest = newest_release(workspace)
    assert newest is not None and newest.number == 2
    assert len(told) == 1 and f"another release was faster: release of {newest.bundle}" in told[0]


def test_a_teacher_and_a_damaged_bundle_are_not_released(workspace: Workspace) -> None:
    _write_bundle(workspace, "teacher", 7, kind="teacher")
    with pytest.raises(ConfigurationError, match="teacher is a teacher"):
        release(workspace, _ask("teacher"))
    Path(workspace.bundle("good"), "config.json").write_text("other")
    with pytest.raises(Exception, match=r"config\.json has SHA-256"):
        release(workspace, _ask("good"))


def test_without_labels_a_champion_is_replaced_only_where_that_is_said(workspace: Workspace) -> None:
    Path(workspace.label_sets).unlink()
    release(workspace, _ask("good"))
    with pytest.raises(ConfigurationError, match="nothing says whether worse is worse"):
        release(workspace, _ask("worse"))
    assert release(workspace, _ask("worse", unmeasured=True)).record.bundle == "worse"


def test_label_sets_are_named_and_unknown_ones_refused(workspace: Workspace) -> None:
    assert len(find_labels(workspace).sets) == 2
    assert [partner.name for partner, _ in find_labels(workspace, ["queries"]).sets] == ["search"]
    with pytest.raises(ConfigurationError, match="no label set clicks"):
        find_labels(workspace, ["clicks"])


def test_a_gate_file_says_what_is_wrong_with_it(tmp_path: Path) -> None:
    file = tmp_path / "gate.toml"
    file.write_text("max_gap = 0.02\n[labels.offers]\nmax_language_gap = 0.5\n")
    assert read_gate(str(file)).limit("offers", language=True) == 0.5
    assert read_gate(str(file)).limit("queries", language=False) == 0.02
    for text, problem in (
        ("max_gap = 2", "expected 0 to 1"),
        ("min_gap = 0", "no 'min_gap'"),
        ("[labels.a]\nb = 0", "has no b"),
    ):
        file.write_text(text)
        with pytest.raises(ConfigurationError, match=problem):
            read_gate(str(file))


def test_the_command_releases_tells_and_goes_back(workspace: Workspace, capsys: pytest.CaptureFixture[str]) -> None:
    def ask(*flags: str) -> tuple[int, str]:
        code = main(["release", *flags, "--workspace", workspace.root, "--tracking-uri", "none"])
        return code, capsys.readouterr().out

    assert "nothing was released" in ask()[1]
    assert ask("good", "--to", "champion")[0] == 0
    code, said = ask("like_good", "--to", "champion", "--window-days", "2")
    assert code == 0 and "next/features/ has" in said
    assert ask("--rollback")[0] == 0
    assert "champion  good" in ask()[1]
    assert ask("good")[0] == 2
    assert ask("worse", "--to", "champion")[0] == 4
    assert datetime.now(UTC) > datetime.fromisoformat(list_releases(workspace)[-1].at)
