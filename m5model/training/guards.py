"""Guards run before a stage trains, and stop it with the reason where something is wrong that a loss curve would not show.

    weights           an encoder that was trained before has no vector that is as new: it came whole
    leakage           no row to learn from is held out as well
    targets           what must be guessed is what was hidden, and a row's answer is its own
    padding           padded tokens change nothing
    gradients         every weight learns, but those that the recipe freezes
    chance            the first loss is not far above a blind guess's
    logits            a task gives logits, no probabilities
    overfit           a few rows can be learned by heart in some steps
    learning_rate     these steps get somewhere and stay there
    shuffled_labels   answers dealt out at random teach nothing about held-out rows

All leave weights and random numbers as they were. A guard is turned off by name (training.config.Machine.without_guards). The
last three train for some steps on a few rows; they are asked only where the others hold.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence

from m5model.training.config import GUARDS
from m5model.training.guard_looks import (
    check_chance,
    check_gradients,
    check_leakage,
    check_logits,
    check_padding,
    check_targets,
    check_weights,
)
from m5model.training.guard_subject import Guarded
from m5model.training.guard_trials import check_learning_rate, check_overfit, check_shuffled_labels
from schemas.errors import ExitCode, M5Error
from schemas.figure import Figure

NEXT_STEPS: Mapping[str, str] = {
    "weights": "load the checkpoint again with the names of this encoder; a loader that only warns starts from noise",
    "leakage": "take these rows out of one of the two sides: import or sample again",
    "targets": "look at the task's batch: labels may be shifted against their rows, or nothing is hidden",
    "padding": "give the encoder its attention mask, 1 where there is a token",
    "gradients": "train these weights, or name them in the stage's frozen",
    "chance": "look at how the head is initialised, and at the scale of its logits",
    "logits": "return logits and leave softmax or sigmoid to the loss, else it is applied twice",
    "overfit": "look at the loss, the labels and the gradients: a few rows are learned by heart by any model that learns",
    "learning_rate": "lower the learning rate",
    "shuffled_labels": "look for the answer in the texts, and for rows that are both learned from and measured on",
}


Guard = Callable[[Guarded], Iterator[Figure]]
_LOOKS: Mapping[str, Guard] = {
    "weights": check_weights,
    "leakage": check_leakage,
    "targets": check_targets,
    "padding": check_padding,
    "gradients": check_gradients,
    "chance": check_chance,
    "logits": check_logits,
}
_TRIALS: Mapping[str, Guard] = {
    "overfit": check_overfit,
    "learning_rate": check_learning_rate,
    "shuffled_labels": check_shuffled_labels,
}


class TrainingGuardError(M5Error):
    """A guard stopped a training before its first step."""

    exit_code = ExitCode.GATE_REFUSED


def run_guards(guarded: Guarded, without: Sequence[str] = ()) -> tuple[Figure, ...]:
    """The figures of all guards that are not turned off. Raises TrainingGuardError naming every one that does not hold."""
    figures: list[Figure] = []
    guarded.learner.eval()
    for group in (_LOOKS, _TRIALS):
        for name, guard in group.items():
            if name not in without:
                figures += guard(guarded)
        _refuse(guarded, [figure for figure in figures if not figure.holds])
    return tuple(figures)


def describe(figures: Sequence[Figure], seconds: float) -> str:
    """One line: which guards hold, and how long they took."""
    names = [name for name in GUARDS if any(figure.name.startswith(f"guard_{name}") for figure in figures)]
    return f"guards hold ({', '.join(names)}), {seconds:.1f} s"


def timed_guards(guarded: Guarded, without: Sequence[str] = ()) -> str:
    """Runs the guards; returns the line that says so."""
    started = time.monotonic()
    return describe(run_guards(guarded, without), time.monotonic() - started)


def _refuse(guarded: Guarded, failed: Sequence[Figure]) -> None:
    if failed:
        reasons = "; ".join(f"{figure}{f' ({figure.measured_on})' if figure.measured_on else ''}" for figure in failed)
        names = dict.fromkeys(_guard_of(figure) for figure in failed)
        steps = "; ".join(f"{name}: {NEXT_STEPS[name]}" for name in names)
        raise TrainingGuardError(
            f"stage {guarded.stage} was not begun: {reasons}", next_step=f"{steps}; a guard is turned off by its name"
        )


def _guard_of(figure: Figure) -> str:
    return next(name for name in GUARDS if figure.name.startswith(f"guard_{name}"))
