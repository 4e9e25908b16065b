"""Measures this machine for later plans: calls of the engine and steps of training on one core, fitted to kinds of work."""

from datetime import UTC, datetime

from m5model.encoders.presets import PRESETS
from m5model.planning.engine_timing import time_engines, time_tokenizing, timed_preset
from m5model.planning.speed import Calibration, Point, count_call, count_step, fit_speed
from m5model.planning.training_timing import STRUCTURED_SHARE, StepShape, time_steps
from m5model.runtime.instruction_set import instruction_set
from m5model.training.progress import say

# Layers by hidden size: as narrow and as wide as students are. Few layers: time grows with them evenly, and so does exporting.
ENGINES = ((2, 128), (3, 384), (2, 768))
STEPS = (
    StepShape(preset=PRESETS["tiny"], length=32, token_budget=512),
    StepShape(preset=PRESETS["tiny"], length=32, token_budget=2_048),
    StepShape(preset=PRESETS["tiny"], length=96, token_budget=1_920),
    StepShape(preset=PRESETS["tiny-cross"], length=48, token_budget=960),
    StepShape(preset=PRESETS["tiny-cross"], length=96, token_budget=1_920),
    StepShape(preset=PRESETS["student-70m"], length=32, token_budget=256),
    StepShape(preset=PRESETS["student-70m"], length=64, token_budget=1_024),
)
ROUNDS, CALLS, TRAINING_ROUNDS, TRAINING_STEPS = 4, 3, 2, 3


def calibrate(*, with_training: bool = True) -> Calibration:
    """Takes about two minutes on a quiet machine; what others do on it meanwhile goes into the figures."""
    say("calls of the engine")
    engine = time_engines([timed_preset(*sizes) for sizes in ENGINES], ROUNDS, CALLS)
    say("steps of training")
    steps = time_steps(STEPS, TRAINING_ROUNDS, TRAINING_STEPS) if with_training else []
    return fit(engine, steps, time_tokenizing(ROUNDS))


def fit(engine: list[Point], steps: list[Point], tokenizing: float) -> Calibration:
    """The calibration that these measurements give."""
    calls = [(count_call(point.shape, point.rows, point.length), point.seconds) for point in engine]
    work = [(count_step(point.shape, point.rows, point.length, STRUCTURED_SHARE), point.seconds) for point in steps]
    return Calibration(
        instructions=instruction_set(),
        dated=datetime.now(UTC).isoformat(timespec="seconds"),
        embedding=fit_speed(calls),
        training=fit_speed(work) if work else None,
        tokenizing=tokenizing,
    )
