"""Builds the tasks of a distillation: those that need teachers, and the one that needs a cross-encoder."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from m5model.data.label_sets import LabelSet
from m5model.distillation import imitation, judgements, layerwise, relations, soft_targets
from m5model.distillation.cross_encoder import CrossEncoder, score_pairs
from m5model.distillation.judged import JUDGED_TEXTS, JudgedTexts
from m5model.distillation.teachers import Teachers
from m5model.encoders.encoder import TextEncoder
from m5model.runtime.rendering import Rendering
from m5model.tasks import AnyTask, TaskData
from m5model.training.task_setup import TaskBuilders
from schemas.errors import ConfigurationError

# A label set by its name, NAME or NAME/VERSION, with its texts in a rendering.
OpenNamed = Callable[[str, Rendering], LabelSet]


@dataclass(frozen=True, kw_only=True)
class Builders:
    """Builds the tasks of one distillation. Each method raises ConfigurationError for a recipe of other bundles."""

    teachers: Teachers
    cross_encoder: CrossEncoder | None
    open_labels: OpenNamed

    def by_task(self) -> TaskBuilders:
        return {
            layerwise.NAME: self.follow,
            imitation.NAME: self.imitate,
            judgements.NAME: self.judge,
            relations.NAME: self.relate,
            soft_targets.NAME: self.soften,
        }

    def follow(self, settings: layerwise.Settings, _: TextEncoder, data: TaskData) -> AnyTask:
        teacher = next((one.encoder for one in self.teachers.opened if one.manifest.id == settings.teacher), None)
        if teacher is None:
            raise _made_for_others((settings.teacher,), self._ids)
        learn = self.teachers.drawn("learn", data.learn, settings.texts)
        return layerwise.Layerwise(settings, teacher, data, learn, self._judged(data))

    def imitate(self, settings: imitation.Settings, encoder: TextEncoder, data: TaskData) -> AnyTask:
        refuse_others(settings.teachers, self._ids)
        learn = self.teachers.taught("learn", data.learn, settings.texts)
        return imitation.Imitation(settings, encoder, data, learn, self._judged(data))

    def judge(self, settings: judgements.Settings, _: TextEncoder, data: TaskData) -> AnyTask:
        refuse_others(settings.teachers, self._ids)
        learn = self.teachers.taught("learn", data.learn, settings.texts)
        return judgements.Judgements(settings, data, learn, self._judged(data))

    def relate(self, settings: relations.Settings, encoder: TextEncoder, data: TaskData) -> AnyTask:
        refuse_others((settings.teacher,), self._ids[:1])
        return relations.Relations(settings, encoder, data, self.teachers.opened[0], self._judged(data))

    def soften(self, settings: soft_targets.Settings, encoder: TextEncoder, data: TaskData) -> AnyTask:
        cross = self.cross_encoder
        refuse_others((settings.cross_encoder,), (cross.manifest.id,) if cross else ())
        if cross is None or data.labels is None:
            raise ConfigurationError("soft targets need a cross-encoder and labelled pairs", next_step="give both")
        read = self.open_labels(data.labels.name, cross.rendering)
        soft = score_pairs(cross, read, settings.pairs, self.teachers.outputs)
        return soft_targets.build(settings, encoder, data, soft)

    @property
    def _ids(self) -> tuple[str, ...]:
        return tuple(teacher.manifest.id for teacher in self.teachers.opened)

    def _judged(self, data: TaskData) -> JudgedTexts:
        return JudgedTexts(texts=self.teachers.taught("held_out", data.held_out, JUDGED_TEXTS))


def refuse_others(expected: Sequence[str], found: Sequence[str]) -> None:
    """Raise ConfigurationError where a recipe names other bundles than there are."""
    if tuple(expected) != tuple(found):
        raise _made_for_others(expected, found)


def _made_for_others(expected: Sequence[str], found: Sequence[str]) -> ConfigurationError:
    return ConfigurationError(
        f"the recipe is for {', '.join(expected)}, found {', '.join(found) or 'none'}",
        next_step="make the recipe for this bundle",
    )
