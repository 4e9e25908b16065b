"""Guards that look at weights, rows, and one batch of every task. They cost a few passes of the model."""

import math
from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor, nn

from m5model.data.label_sets import LabelSet
from m5model.data.token_rows import TokenRows
from m5model.encoders.encoder import TextEncoder
from m5model.tasks import AnyTask
from m5model.training.guard_subject import ROWS, Guarded, at_least, at_most, first_rows, list_some, loss_of
from schemas.figure import Figure

# A first loss may be so much above a blind guess's: new heads guess a little, and hard negatives are harder than chance.
CHANCE_FACTOR, CHANCE_ROOM = 1.5, 0.5
# Of the tokens to guess 80% are masked and 10% stay: of those that stay, the answer is the token itself.
LEAST_MASKED, LEAST_KEPT, ENOUGH_TOKENS = 0.5, 0.04, 200
# Two ways to compute the same hidden state differ by rounding; attended padding changes it by more than this.
PADDING_TOLERANCE = 1e-3
STRETCH = 100.0  # of a head's weights
# The attention's key bias shifts all scores of a row alike, which softmax ignores: it may never move.
NEVER_MOVES = ("k_lin.bias", "key.bias")


def check_weights(guarded: Guarded) -> Iterator[Figure]:
    """Biases of zeros and norms of ones are those of a new encoder: training moves every one of them."""
    if guarded.was_trained:
        weights = guarded.learner.encoder.named_parameters()
        new = [name for name, vector in weights if name not in guarded.new and _is_new(name, vector)]
        yield at_most("weights_as_new", len(new), 0, list_some(new))


def _is_new(name: str, vector: Tensor) -> bool:
    if vector.ndim != 1 or name.endswith(NEVER_MOVES):
        return False
    return bool((vector == (1.0 if "norm" in name.lower() and name.endswith("weight") else 0.0)).all())


def check_leakage(guarded: Guarded) -> Iterator[Figure]:
    """Returns rows that are on both sides: by key in the training set, by their texts in label sets."""
    both = np.intersect1d(guarded.learn.keys, guarded.held_out.keys)
    yield at_most("leakage_rows", len(both), 0, list_some([f"key {key}" for key in both.tolist()]))
    for task, labels in guarded.label_sets.items():
        shared = _shared_rows(labels)
        yield at_most(f"leakage_{task}", len(shared), 0, list_some(shared))


def _shared_rows(labels: LabelSet) -> list[str]:
    """Returns rows to learn from whose text, or both texts of a pair, are in another split as well."""
    columns = ["query"] * (labels.kind.name == "relevance") + [f"{side}text" for side in labels.kind.sides]
    if labels.kind.name == "sessions":
        columns = ["session"]
    found = {
        split: {tuple(sorted(values)) for values in zip(*(rows[name][:] for name in columns), strict=True)}
        for split, rows in labels.splits.items()
    }
    learned = found.pop("learn", set())
    return sorted(f"{split}: {' / '.join(row)[:80]!r}" for split, rows in found.items() for row in rows & learned)


def check_targets(guarded: Guarded) -> Iterator[Figure]:
    """Most tokens to guess are masked, and those that stay are their own answer; a row's label is the same in any batch."""
    for task in guarded.mixture.tasks:
        batch = task.batch(0, first_rows(task))
        if hasattr(batch, "chosen_BL"):
            yield from _check_masks(task, guarded.learner.encoder.mask_id)
        for name in getattr(batch, "TARGETS", ()):
            alone = [getattr(task.batch(0, row[None]), name) for row in first_rows(task)]
            other = int((np.concatenate(alone) != getattr(batch, name)).sum())
            yield at_most(f"targets_{task.name}_of_other_rows", other, 0)


def _check_masks(task: AnyTask, mask_id: int) -> Iterator[Figure]:
    rows = np.arange(min(len(task.examples.keys), 256))
    batches = [task.batch(step, rows) for step in range(2)]
    hidden = np.concatenate([batch.ids_BL[batch.chosen_BL] for batch in batches])
    targets = np.concatenate([batch.targets_M for batch in batches])
    if len(targets) >= ENOUGH_TOKENS:
        yield at_least(f"targets_{task.name}_masked", float((hidden == mask_id).mean()), LEAST_MASKED, "of tokens to guess")
        yield at_least(f"targets_{task.name}_kept", float((hidden == targets).mean()), LEAST_KEPT, "are their own answer")


@torch.no_grad()
def check_padding(guarded: Guarded) -> Iterator[Figure]:
    """Hidden states of a short row, alone and padded to a longer one."""
    encoder, rows = guarded.learner.encoder, guarded.learn
    order = np.argsort(rows.lengths, kind="stable")
    short, long = int(order[0]), int(order[-1])
    if rows.lengths[short] == rows.lengths[long]:
        return
    alone, both = (_hidden(encoder, rows, chosen)[0, : rows.lengths[short]] for chosen in ([short], [short, long]))
    difference = float((alone - both).abs().max() / alone.abs().max().clamp(min=1e-6))
    yield at_most("padding_changes_hidden_states", difference, PADDING_TOLERANCE, "relative, of a padded row")


def _hidden(encoder: TextEncoder, rows: TokenRows, chosen: list[int]) -> Tensor:
    ids_BL, mask_BL = (torch.from_numpy(array).to(encoder.device) for array in rows.padded(np.asarray(chosen)))
    return encoder.hidden_states(ids_BL, mask_BL).float()


def check_gradients(guarded: Guarded) -> Iterator[Figure]:
    """Weights that no task moves, and weights that are not to be trained though the recipe does not say so."""
    learner = guarded.learner
    learner.zero_grad(set_to_none=True)
    for task in guarded.mixture.tasks:
        loss_of(task, learner, task.batch(0, first_rows(task, 4 * ROWS)))[0].backward()
    frozen = tuple(f"encoder.{prefix}" for prefix in guarded.frozen)
    still = [
        name
        for name, weight in learner.named_parameters()
        if not (frozen and name.startswith(frozen)) and not name.endswith(NEVER_MOVES) and not _moves(weight)
    ]
    learner.zero_grad(set_to_none=True)
    yield at_most("gradients_missing", len(still), 0, list_some(still))


def _moves(weight: nn.Parameter) -> bool:
    return weight.requires_grad and weight.grad is not None and bool(weight.grad.abs().sum() > 0)


@torch.no_grad()
def check_chance(guarded: Guarded) -> Iterator[Figure]:
    """Compares the first loss with that of a blind guess, log(outcomes)."""
    for task in guarded.mixture.tasks:
        if task.outcomes > 1:
            loss = float(loss_of(task, guarded.learner, task.batch(0, first_rows(task, 4 * ROWS)))[0])
            chance = math.log(task.outcomes)
            yield at_most(
                f"chance_{task.name}_first_loss", loss, CHANCE_FACTOR * chance + CHANCE_ROOM, "a blind guess's and room"
            )


@torch.no_grad()
def check_logits(guarded: Guarded) -> Iterator[Figure]:
    """Numbers that all lie from 0 to 1, however large the head's weights are, are probabilities."""
    for task in guarded.mixture.tasks:
        batch = task.batch(0, first_rows(task, 4 * ROWS))
        outside = _share_outside(loss_of(task, guarded.learner, batch)[1])
        if not outside:  # so may a new head's be; those of one a hundred times as large are not, but probabilities are
            before = {name: weight.clone() for name, weight in task.head.state_dict().items()}
            for weight in task.head.parameters():
                weight.mul_(STRETCH)
            outside = _share_outside(loss_of(task, guarded.learner, batch)[1])
            task.head.load_state_dict(before)
        yield Figure(
            name=f"guard_logits_{task.name}_outside_0_to_1",
            value=outside,
            bound="above",
            threshold=0,
            holds=outside > 0,
            measured_on="share; probabilities have none",
        )


def _share_outside(logits: Tensor) -> float:
    return float(((logits < 0) | (logits > 1)).float().mean())
