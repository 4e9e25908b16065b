"""Candidates: layers of a bundle, tried briefly, chosen by agreement within the limits of the gate."""

from pathlib import Path

import pytest

from m5model.commands.distill import _write_page
from m5model.data.set_versions import find_training_set
from m5model.distillation.ablation import WHOLE, Ablated, ablate
from m5model.distillation.candidates import Candidate, Trial, choose, read_candidates
from m5model.distillation.notes import Notes
from m5model.distillation.request import Request, fulfil
from m5model.distillation.thresholds import Agreement, Cost, StudentGate
from m5model.gates.intervals import Interval
from m5model.training.config import Machine
from schemas.bundle import ONNX_INT8_FILE
from schemas.errors import ConfigurationError, GateRefusedError
from schemas.workspace import Workspace


def _trial(name: str, agreement: float, ms: float, mb: float) -> Trial:
    return Trial(name=name, agreement=agreement, ms_at_32_tokens=ms, ms_at_512_tokens=10 * ms, int8_mb=mb)


TRIALS = {
    one.name: one for one in (_trial("12x384", 0.99, 9, 29), _trial("6x384", 0.95, 5, 18), _trial("3x384", 0.9504, 3, 12))
}
CANDIDATES = [Candidate(name=name, layers=(0,)) for name in TRIALS]


def test_the_best_within_the_limits_goes_on_and_of_equals_the_quicker(tmp_path) -> None:
    def first(limits: Cost) -> str:
        return choose(CANDIDATES, limits, lambda one: TRIALS[one.name], str(tmp_path))[0].name

    assert first(Cost()) == "12x384"
    assert first(Cost(max_int8_mb=20)) == "3x384"
    assert first(Cost(max_ms_at_512_tokens=50, max_int8_mb=20)) == "3x384"
    with pytest.raises(GateRefusedError, match="smallest, 3x384, has 12.0 MB"):
        first(Cost(max_int8_mb=1))


def test_a_trial_is_made_once(tmp_path) -> None:
    tried = []

    def attempt(one: Candidate) -> Trial:
        tried.append(one.name)
        return TRIALS[one.name]

    trials = [choose(CANDIDATES, Cost(), attempt, str(tmp_path)) for _ in range(2)]
    assert tried == list(TRIALS)
    assert trials[0] == trials[1]


def test_candidates_that_a_bundle_cannot_give_are_named_all_at_once(trained) -> None:
    assert read_candidates("2x128, 1x128", trained.student) == {"2x128": 2, "1x128": 1}
    with pytest.raises(ConfigurationError, match=r"(?s)'3x128'.*'2x64'.*'small'"):
        read_candidates("3x128,2x64,small,1x128", trained.student)
    with pytest.raises(ConfigurationError, match=r"(?s)need --start-from.*beside --candidates"):
        Request(workspace=Workspace("/nowhere"), candidates="1x128", layers=(1,))


def _request(trained, tmp_path, candidates: str, **wishes: object) -> Request:
    return Request(
        workspace=Workspace(str(tmp_path)),
        teachers=(str(trained.teacher_folder),),
        training_set=find_training_set(trained.workspace, None),
        start_from="teacher",
        candidates=candidates,
        **wishes,
    )


def test_a_distillation_tries_its_candidates_trains_on_the_one_within_the_limits_and_shows_both(trained, tmp_path) -> None:
    two_layers_mb = trained.student.files[ONNX_INT8_FILE]["bytes"] / 1e6
    cost = Cost(max_ms_at_32_tokens=1e6, max_int8_mb=two_layers_mb - 0.1)
    request = _request(
        trained,
        tmp_path,
        "2x128,1x128",
        steps=10,
        ablate=5,
        gate=StudentGate(agreement=Agreement(min_correlation=-1), cost=cost),
        machine=Machine(threads=1, without_guards=("overfit", "shuffled_labels")),
    )
    notes = Notes()
    made = fulfil(request, notes)
    stated = {figure.name for figure in made.gate}
    assert {"candidate_1x128_agreement", "candidate_1x128_int8_mb"} <= stated
    assert next(figure.value for figure in made.gate if figure.name == "candidate_2x128_agreement") > 0.9
    assert made.layers == 1
    assert made.recipe["stages"][0]["layers"] == [1]
    assert "judgement_correlation_after" in stated
    _write_page(request.workspace, notes, made)
    page = Path(request.workspace.page(f"distill-{made.id}")).read_text(encoding="utf-8")
    assert "candidates (2): milliseconds against agreement; 1x128 was chosen" in page
    parts = [stage["stage"] for stage in made.recipe["stages"] if stage.get("tasks")]
    assert [one.without for one in notes.ablations] == [WHOLE, *parts]
    assert all(f"without {part}: 0" in page for part in parts)
    assert {"candidates", "ablation", *parts, "export", "examination"} <= notes.clock.seconds.keys()


def test_one_candidate_alone_is_not_tried_and_with_all_layers_of_its_teacher_made_as_it_is(trained, tmp_path) -> None:
    notes = Notes()
    made = fulfil(_request(trained, tmp_path, "2x128", steps=10, machine=Machine(threads=1)), notes)
    assert [stage["stage"] for stage in made.recipe["stages"]] == ["begin", "export"]
    assert notes.trials == []


def test_a_run_without_a_part_is_made_once(tmp_path) -> None:
    tried = []

    def attempt(part: str, recipe: str) -> Ablated:
        tried.append((part, recipe))
        return Ablated(without=part, agreement=Interval(value=0.5, low=0.4, high=0.6), average_precision=None)

    recipes = {WHOLE: "a", "imitation": "b"}
    found = [ablate(recipes, attempt, str(tmp_path)) for _ in range(2)]  # type: ignore[arg-type]
    assert tried == list(recipes.items())
    assert found[0] == found[1]
