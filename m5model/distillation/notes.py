"""Notes that a distillation takes while it runs, for its page: what each step cost, and what was measured on the way."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from m5model.distillation.ablation import Ablated
from m5model.distillation.candidates import Trial
from m5model.distillation.examination import Examination
from m5model.training.stages import Model, RunContext, StageRunner
from schemas.bundle import TrainedStage
from schemas.figure import Figure


class Clock:
    """Seconds of named steps, each without those of the steps within it. A step that is done twice adds up."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self.seconds: dict[str, float] = {}
        self._now = now
        self._within: list[float] = []  # seconds that steps within each open step took

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Count what is done in the block; it is listed where it began."""
        self.seconds.setdefault(name, 0.0)
        began = self._now()
        self._within.append(0.0)
        try:
            yield
        finally:
            taken = self._now() - began
            self.seconds[name] += taken - self._within.pop()
            if self._within:
                self._within[-1] += taken


@dataclass(kw_only=True)
class Notes:
    """Holds what there is to show of one distillation. Steps of earlier starts of a killed run are in no clock."""

    clock: Clock = field(default_factory=Clock)
    steps: dict[str, int] = field(default_factory=dict)  # of each stage that trains
    trials: list[Trial] = field(default_factory=list)  # of candidates, the chosen one first
    ablations: list[Ablated] = field(default_factory=list)  # all parts first
    ablation_steps: int = 0
    figures: tuple[Figure, ...] = ()  # parity, then the examination's
    similarities: tuple[tuple[float, float], ...] = ()  # of pairs of held-out texts: teachers', student's
    run: str = ""  # id of the run that was examined

    def examined(self, run: str, trained: Sequence[TrainedStage], parity: Sequence[Figure], examination: Examination) -> None:
        """Take down what became of the student, whether it passes or not."""
        self.run, self.steps = run, {one.stage: one.steps for one in trained}
        self.figures = (*parity, *examination.figures)
        self.similarities = examination.similarities

    def timed(self, runner: StageRunner) -> StageRunner:
        """The runner of a stage, whose seconds count as a step by the stage's name."""

        def run(stage: object, model: Model, context: RunContext) -> Model:
            name: str = stage.stage  # type: ignore[attr-defined]
            with self.clock.step(name):
                return runner(stage, model, context)

        return run
