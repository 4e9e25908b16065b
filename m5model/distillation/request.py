"""A distillation as it was asked for: from names to bundles, from candidates to the recipe that goes on, to a student."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from m5model.bundles.find import find_bundle, open_bundle, read_manifest
from m5model.bundles.geometry import preset_of
from m5model.data.set_versions import find_training_set
from m5model.data.token_rows import tokenize_rows
from m5model.data.training_sets import TrainingSet, open_training_set
from m5model.data.vocabulary import load_vocabulary
from m5model.distillation import imitation, soft_targets
from m5model.distillation.ablation import WHOLE, ablate, parts_of
from m5model.distillation.candidates import TRIAL_SHARE, Candidate, choose, read_candidates
from m5model.distillation.cross_encoder import find_cross_task
from m5model.distillation.layer_choice import CHOICE_TOKENS, Opened, choose_layers
from m5model.distillation.notes import Notes
from m5model.distillation.recipe import cut, student
from m5model.distillation.student import distill_student, open_distillation, try_candidate, try_without
from m5model.distillation.thresholds import StudentGate
from m5model.encoders.device import choose_device
from m5model.encoders.kinds import load_encoder
from m5model.encoders.presets import STUDENT_70M, EncoderPreset, get_preset
from m5model.export.quantization import Quantization
from m5model.runtime.rendering import Rendering
from m5model.training.config import Machine
from m5model.training.progress import say
from m5model.training.recipes import Recipe, pace_of
from schemas.bundle import BundleManifest
from schemas.canonical import identify
from schemas.checks import require
from schemas.figure import Figure
from schemas.workspace import Workspace

# Parts that teach how a student's vectors lie to each other, whatever way they point: they turn a space away from its target.
LEAVES_THE_SPACE = ("judgements", "soft_targets", "contrast")


@dataclass(frozen=True, kw_only=True)
class Request:
    """The flags of ``m5 distill`` as values. Raises ConfigurationError listing all that do not fit each other."""

    workspace: Workspace
    teachers: tuple[str | None, ...] = (None,)  # ids or paths; None for the newest
    training_set: str | None = None  # NAME or NAME/VERSION; None for the newest
    pairs: str = ""  # a label set
    attributes: str = ""  # a label set that it is examined on
    same_space_as: str | None = None  # id or path of the bundle whose documents this student's queries are for
    start_from: str | None = None  # "teacher", an id or a path; None to begin anew
    layers: tuple[int, ...] = ()
    candidates: str = ""  # e.g. 12x384,6x384
    relations_of: int | None = None  # the layer of the first teacher whose relations it imitates
    cross_encoder: str | None = None  # id or path of a bundle whose soft targets it learns from
    temperature: float = 2.0  # of soft targets
    label_weight: float = 0.5  # of true labels beside soft targets
    ablate: int | None = None  # steps of each run without a part; 0 for a share of the steps, None for no such run
    preset: str | None = None
    steps: int | None = None
    without: tuple[str, ...] = ()
    quantization: Quantization = "static"
    seed: int = 0
    gate: StudentGate = field(default_factory=StudentGate)
    machine: Machine = field(default_factory=Machine)

    def __post_init__(self) -> None:
        chosen = bool(self.layers or self.candidates)
        rules = {
            "--layers and --candidates need --start-from": not chosen or self.start_from is not None,
            "--layers means nothing beside --candidates": not (self.layers and self.candidates),
            "--preset means nothing beside --layers or --candidates": not (chosen and self.preset),
            "--cross-encoder needs --pairs": self.cross_encoder is None or bool(self.pairs),
            "--same-space-as needs the part imitation": self.same_space_as is None or imitation.NAME not in self.without,
        }
        require("arguments", rules)


@dataclass(frozen=True, kw_only=True)
class Found:
    """The bundles and the training set that a request names."""

    teachers: tuple[str, ...]  # paths
    manifests: tuple[BundleManifest, ...]
    start_from: str | None  # path
    begun: BundleManifest | None
    documents: str | None  # path
    cross_encoder: str | None  # path
    soft: soft_targets.Settings | None
    training_set: TrainingSet

    @property
    def is_its_own_teacher(self) -> bool:
        """Does the student begin with its only teacher?"""
        return self.begun is not None and [one.id for one in self.manifests] == [self.begun.id]


def fulfil(request: Request, notes: Notes | None = None) -> BundleManifest:
    """Make the student. Raises GateRefusedError where no candidate, or not this student, is within the gate.

    ``notes`` take down what there is to show of the run.
    """
    found, notes = _find(request), notes or Notes()
    layers: tuple[int, ...] = request.layers
    stated: tuple[Figure, ...] = ()
    if request.candidates and found.begun:
        layers, stated = _choose_layers(request, found, found.begun, notes)
    if request.ablate is not None:
        _ablate(request, found, layers, notes)
    recipe = _recipe(request, found, layers, request.steps, request.pairs)
    say(f"recipe: {recipe.canonical()}")
    return distill_student(
        request.workspace,
        found.training_set,
        found.teachers,
        recipe,
        gate=request.gate,
        machine=request.machine,
        start_from=found.start_from,
        pairs=request.pairs or None,
        attributes=request.attributes or None,
        same_space_as=found.documents,
        cross_encoder=found.cross_encoder,
        notes=notes,
        stated=stated,
    )


def _find(request: Request) -> Found:
    teachers = tuple(find_bundle(request.workspace, name, "teacher", "--teacher") for name in request.teachers)
    manifests = tuple(read_manifest(path) for path in teachers)
    start = request.start_from
    if start is not None:
        start = teachers[0] if start == "teacher" else find_bundle(request.workspace, start, "student")
    cross = find_bundle(request.workspace, request.cross_encoder, "teacher") if request.cross_encoder else None
    rendering = replace(Rendering.from_json(manifests[0].rendering), marked=False)  # students have one stream
    return Found(
        teachers=teachers,
        manifests=manifests,
        start_from=start,
        begun=read_manifest(start) if start else None,
        documents=find_bundle(request.workspace, request.same_space_as, "student") if request.same_space_as else None,
        cross_encoder=cross,
        soft=_soft_targets(request, cross) if cross else None,
        training_set=open_training_set(find_training_set(request.workspace, request.training_set), rendering),
    )


def _soft_targets(request: Request, path: str) -> soft_targets.Settings:
    """Raises ConfigurationError where the bundle is no cross-encoder."""
    manifest = read_manifest(path)
    find_cross_task(manifest)
    return soft_targets.Settings(cross_encoder=manifest.id, temperature=request.temperature, label_weight=request.label_weight)


def _recipe(request: Request, found: Found, layers: tuple[int, ...], steps: int | None, pairs: str) -> Recipe:
    own = preset_of(found.begun) if found.begun else STUDENT_70M
    if request.candidates and not layers and found.is_its_own_teacher and not pairs:
        steps = 0  # the candidate that takes all layers has nothing to learn: it is the teacher, exported
    return student(
        get_preset(request.preset) if request.preset else cut(own, layers),
        found.manifests,
        start_from=found.begun,
        layers=layers,
        pairs=pairs,
        steps=steps,
        without=request.without if found.documents is None else (*request.without, *LEAVES_THE_SPACE),
        seed=request.seed,
        quantization=request.quantization,
        relations_of=request.relations_of,
        soft=found.soft,
    )


def _choose_layers(
    request: Request, found: Found, begun: BundleManifest, notes: Notes
) -> tuple[tuple[int, ...], tuple[Figure, ...]]:
    """The layers of the candidate that goes on, and what the manifest says of all candidates. One alone needs no trial."""
    steps = _brief_steps(request, preset_of(begun))
    sizes = read_candidates(request.candidates, begun)
    with notes.clock.step("layers to take"):
        layers = _missed_least(request, found, begun, sizes)
    if len(sizes) == 1:
        return layers[next(iter(sizes.values()))], ()
    candidates = {name: Candidate(name=name, layers=layers[count]) for name, count in sizes.items()}
    brief = {name: _recipe(request, found, one.layers, steps, "") for name, one in candidates.items()}
    distillation = open_distillation(request.workspace, found.training_set, found.teachers, request.machine, found.start_from)
    with notes.clock.step("candidates"):
        trials = choose(
            list(candidates.values()),
            request.gate.cost,
            lambda one: try_candidate(distillation, one.name, brief[one.name]),
            _trials_folder(request, found, candidates, brief),
        )
    notes.trials = trials
    stated = tuple(figure for trial in trials for figure in trial.figures())
    return candidates[trials[0].name].layers, stated


def _missed_least(
    request: Request, found: Found, begun: BundleManifest, sizes: Mapping[str, int]
) -> dict[int, tuple[int, ...]]:
    """Count → layers of the bundle that the student begins with."""

    def open_begun() -> Opened:
        folder, _ = open_bundle(str(found.start_from))
        encoder = load_encoder(folder).to(choose_device(request.machine.device, request.machine.threads))
        return Opened(encoder=encoder, rows=tokenize_rows(found.training_set.held_out, load_vocabulary(folder), CHOICE_TOKENS))

    decides = {"bundle": begun.id, "texts": found.training_set.manifest.content_hash}
    path = f"{request.workspace.checkpoints}/layers-{identify(decides)}.json"
    return choose_layers(open_begun, begun.layers, set(sizes.values()), path)


def _ablate(request: Request, found: Found, layers: tuple[int, ...], notes: Notes) -> None:
    """Take down what the recipe comes to at few steps, whole and without each of its parts."""
    whole = _recipe(request, found, layers, request.steps, request.pairs)
    if not parts_of(whole):
        return
    steps = request.ablate or max(1, _brief_steps(request, whole.preset))
    recipes = {WHOLE: _recipe(request, found, layers, steps, request.pairs)}
    parts = parts_of(recipes[WHOLE])
    for part in parts if len(parts) > 1 else ():
        fewer = replace(request, without=(*request.without, part))
        recipes[part] = _recipe(fewer, found, layers, steps, request.pairs)
    distillation = open_distillation(
        request.workspace, found.training_set, found.teachers, request.machine, found.start_from, found.cross_encoder
    )
    runs = {name: recipe.run_id(found.training_set) for name, recipe in recipes.items()}
    folder = f"{request.workspace.checkpoints}/ablation-{identify(runs)}"
    with notes.clock.step("ablation"):
        notes.ablations = ablate(
            recipes, lambda part, recipe: try_without(distillation, part, recipe, request.pairs or None), folder
        )
    notes.ablation_steps = steps


def _brief_steps(request: Request, preset: EncoderPreset) -> int:
    return round(TRIAL_SHARE * (pace_of(preset).steps if request.steps is None else request.steps))


def _trials_folder(request: Request, found: Found, candidates: Mapping[str, Candidate], brief: Mapping[str, Recipe]) -> str:
    """A place that is the same for the same candidates of the same run."""
    runs = {name: brief[name].run_id(found.training_set) for name in candidates}
    return f"{request.workspace.checkpoints}/candidates-{identify(runs)}"
