"""Recipes as JSON files: every error at once, with its place in the file.

    {"name": "mine", "preset": "tiny", "stages": [
        {"kind": "vocabulary", "size": 2000},
        {"kind": "tasks", "stage": "pretrain", "training": {"steps": 300, "learning_rate": 0.001},
         "tasks": [{"task": "mlm", "settings": {"token_budget": 2048}}]},
        {"kind": "tasks", "stage": "multitask", "training": {"steps": 200, "learning_rate": 0.0005},
         "mixing": {"temperature": 2, "scaling": "log_labels"},
         "tasks": [{"task": "product_type", "labels": "types"}, {"task": "duplicates", "labels": "pairs"}]}]}

A stage's other keys are the fields of its class (training.stages, training.starting), a task's those of TaskShare; settings are
the fields of the task's Settings. ``preset`` is a name; it is left out where the run begins with weights, whose size it has.
"""

import json
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields
from types import MappingProxyType
from typing import Any

import m5model.tasks
from m5model.encoders.presets import PRESETS, EncoderPreset
from m5model.training.config import TrainingConfig
from m5model.training.recipes import Recipe
from m5model.training.shares import Mixing, TaskShare
from m5model.training.stages import LearnTasks, LearnVocabulary
from m5model.training.starting import TakeStreams, TakeWeights, TakeWhole, TrimVocabulary
from schemas.bundle import Origin
from schemas.checks import require
from schemas.errors import ConfigurationError
from schemas.registry import load_member

KINDS: Mapping[str, type] = MappingProxyType(
    {
        "vocabulary": LearnVocabulary,
        "weights": TakeWeights,
        "streams": TakeStreams,
        "whole": TakeWhole,
        "trim": TrimVocabulary,
        "tasks": LearnTasks,
    }
)


_BROKEN = object()  # stands for a value that cannot be built; why is among the problems


@dataclass(kw_only=True)
class _Reader:
    """Builds values and remembers what is wrong, by place."""

    problems: list[str] = field(default_factory=list)

    def build(self, kind: Any, values: Any, where: str) -> Any:
        """``kind(**values)``, or _BROKEN where that cannot be."""
        if not isinstance(values, Mapping):
            self.problems.append(f"{where} is a {type(values).__name__}, expected an object")
            return _BROKEN
        known = {one.name: one for one in fields(kind) if one.init}
        needed = [name for name, one in known.items() if one.default is MISSING and one.default_factory is MISSING]
        wrong = [f"{where} has no field {name!r}, only {', '.join(known)}" for name in values if name not in known]
        wrong += [f"{where} lacks {name!r}" for name in needed if name not in values]
        self.problems += wrong
        if wrong or any(value is _BROKEN for value in values.values()):
            return _BROKEN
        try:
            return kind(**{name: tuple(value) if isinstance(value, list) else value for name, value in values.items()})
        except ConfigurationError as error:
            self.problems.append(f"{where}: {error.message}")
        except TypeError as error:
            self.problems.append(f"{where}: a value is of the wrong type ({error})")
        return _BROKEN

    def stage(self, values: Any, where: str, origin: Origin | None) -> Any:
        if not isinstance(values, Mapping) or values.get("kind") not in KINDS:
            self.problems.append(f"{where} is of no known kind, expected one of {', '.join(KINDS)}")
            return _BROKEN
        kind, rest = KINDS[values["kind"]], {name: value for name, value in values.items() if name != "kind"}
        if kind in (TakeWeights, TakeStreams, TakeWhole):
            return self._weights(kind, rest, where, origin)
        if kind is LearnTasks:
            rest = self._parts_of_tasks(rest, where)
        return self.build(kind, rest, where)

    def _weights(self, kind: type, values: dict[str, Any], where: str, origin: Origin | None) -> Any:
        if origin is None:
            self.problems.append(f"{where} begins with weights, and none are given")
            return _BROKEN
        return self.build(kind, {**values, "origin": origin}, where)

    def _parts_of_tasks(self, values: dict[str, Any], where: str) -> dict[str, Any]:
        built = dict(values)
        for name, kind in (("training", TrainingConfig), ("mixing", Mixing)):
            if name in values:
                built[name] = self.build(kind, values[name], f"{where}.{name}")
        if isinstance(values.get("tasks"), list):
            shares = [self._share(share, f"{where}.tasks[{place}]") for place, share in enumerate(values["tasks"])]
            built["tasks"] = _BROKEN if any(share is _BROKEN for share in shares) else shares
        return built

    def _share(self, values: Any, where: str) -> Any:
        if not isinstance(values, Mapping) or not isinstance(values.get("task"), str):
            self.problems.append(f"{where} names no task")
            return _BROKEN
        try:
            settings_kind = load_member(m5model.tasks, values["task"], "task").Settings
        except ConfigurationError as error:
            self.problems.append(f"{where}: {error}".replace("\n", " "))
            return _BROKEN
        settings = self.build(settings_kind, values.get("settings", {}), f"{where}.settings")
        return self.build(TaskShare, {**values, "settings": settings}, where)


def read_recipe(text: str, where: str, *, preset: EncoderPreset | None = None, origin: Origin | None = None) -> Recipe:
    """Returns the recipe in ``text``. ``preset`` and ``origin`` are those of the weights that the run begins with, if any.

    Raises ConfigurationError that names every problem at once.
    """
    try:
        values = json.loads(text)
    except ValueError as error:
        raise ConfigurationError(f"{where} is not JSON: {error}", next_step="correct the recipe") from error
    if not isinstance(values, dict):
        raise ConfigurationError(f"{where} holds no JSON object", next_step="see m5model/training/recipe_files.py")
    reader = _Reader()
    unknown = [name for name in values if name not in ("name", "preset", "stages")]
    reader.problems += [f"there is no field {name!r}, only name, preset, stages" for name in unknown]
    name = values.get("name")
    if not isinstance(name, str) or not name:
        reader.problems.append("name is missing")
    found = _preset(values.get("preset"), preset, reader)
    given = values.get("stages")
    listed = given if isinstance(given, list) else []
    stages = [reader.stage(stage, f"stages[{place}]", origin) for place, stage in enumerate(listed)]
    if not listed:
        reader.problems.append("stages is missing, expected a list of stages")
    require(where, dict.fromkeys(reader.problems, False))
    return Recipe(name=str(name), preset=found, stages=tuple(stages))


def _preset(name: Any, given: EncoderPreset | None, reader: _Reader) -> Any:
    if given is not None and name is None:
        return given
    if given is not None:
        reader.problems.append("preset is given, and the run begins with weights, whose size it has")
    elif name not in PRESETS:
        reader.problems.append(f"preset is {name!r}, expected one of {', '.join(PRESETS)}")
    return PRESETS.get(name)
