"""Trains two towers on judged queries, by torch: the vectors of texts are read once and stay as they are.

A query's judged listings compete with each other and with those of the other queries of a step. The state that ranks the split
validate best is kept, the one before the first step among them. Tensor suffixes: Q queries, N texts, B queries and M texts of a
step, D dimensions of the space, P of the towers.
"""

import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
import torch
from torch import nn
from torch.nn.functional import normalize

from m5model.data.randomness import generator_for, seed_for
from m5model.partners.trigram_tower import TrigramTower
from m5model.partners.vector_map import VectorMap
from m5model.training.progress import say

GAIN_TEMPERATURE = 0.25  # of the order among a query's judged listings: gains .5 and 1 are as 1 to 7


@dataclass(frozen=True, kw_only=True)
class Judgements:
    """Triples (n): which text has which gain for which query."""

    query: np.ndarray  # (n,) places of queries
    text: np.ndarray  # (n,) places of texts
    gain: np.ndarray  # (n,) float32


@dataclass(frozen=True, kw_only=True)
class TowerPlan:
    """Says how towers are trained."""

    rounds: int  # over all queries
    queries: int  # of a step
    learning_rate: float
    temperature: float
    prefixes: tuple[int, ...]  # first dimensions that must rank by themselves
    patience: int = 4  # rounds without a better one, after which it ends


class MapTower(nn.Module):
    """The trainable form of VectorMap, over vectors that are given once."""

    def __init__(self, vectors_ND: np.ndarray, start: VectorMap) -> None:
        super().__init__()
        self._vectors_ND = torch.from_numpy(vectors_ND - start.mean_D)
        self.weight_DP = nn.Parameter(torch.from_numpy(start.matrix_DP.astype(np.float32)))
        self.shift_D = nn.Parameter(torch.zeros(vectors_ND.shape[1]))
        self.mean_D = start.mean_D

    def forward(self, places_B: torch.Tensor) -> torch.Tensor:
        return (self._vectors_ND[places_B] - self.shift_D) @ self.weight_DP

    def frozen(self) -> VectorMap:
        shift_D = self.shift_D.detach().numpy()
        return VectorMap(mean_D=self.mean_D + shift_D, matrix_DP=self.weight_DP.detach().numpy().copy())


class LetterTower(nn.Module):
    """The trainable form of TrigramTower, over the hashed trigrams of queries (Q, buckets)."""

    def __init__(self, hashed: sp.csr_matrix, layer: int, dimensions: int, seed: int) -> None:
        super().__init__()
        draw = torch.Generator().manual_seed(seed)
        self._hashed = hashed
        self.bag = nn.Parameter(torch.randn((hashed.shape[1], layer), generator=draw) * layer**-0.5)
        self.bias_H = nn.Parameter(torch.zeros(layer))
        self.second_HP = nn.Parameter(torch.randn((layer, dimensions), generator=draw) * layer**-0.5)
        self.second_P = nn.Parameter(torch.zeros(dimensions))

    def forward(self, places_B: torch.Tensor) -> torch.Tensor:
        rows = self._hashed[places_B.numpy()]
        summed_BH = nn.functional.embedding_bag(
            torch.from_numpy(rows.indices.astype(np.int64)),
            self.bag,
            torch.from_numpy(rows.indptr[:-1].astype(np.int64)),
            mode="sum",
            per_sample_weights=torch.from_numpy(rows.data),
        )
        return torch.tanh(summed_BH + self.bias_H) @ self.second_HP + self.second_P

    def frozen(self) -> TrigramTower:
        values = (one.detach().numpy().copy() for one in (self.bag, self.bias_H, self.second_HP, self.second_P))
        first_HH, first_H, second_HP, second_P = values
        return TrigramTower(first_HH=first_HH, first_H=first_H, second_HP=second_HP, second_P=second_P)


def train_towers(
    query: nn.Module,
    items: nn.Module,
    learned: Judgements,
    plan: TowerPlan,
    judge: Callable[[], float],
    seed: int,
) -> None:
    """Leave both towers, in place, in the state that ``judge`` found best."""
    both = nn.ModuleList([query, items])
    optimiser = torch.optim.AdamW([one for one in both.parameters() if one.requires_grad], lr=plan.learning_rate)
    best, best_value, waited = copy.deepcopy(both.state_dict()), judge(), 0
    say(f"towers: nDCG@10 on validate {best_value:.4f} before the first step")
    for number in range(plan.rounds):
        losses = [_step(query, items, part, plan, optimiser) for part in _steps(learned, plan.queries, seed, number)]
        value = judge()
        say(f"towers: round {number + 1} of {plan.rounds}, loss {np.mean(losses):.3f}, nDCG@10 on validate {value:.4f}")
        waited = 0 if value > best_value else waited + 1
        if value > best_value:
            best, best_value = copy.deepcopy(both.state_dict()), value
        if waited >= plan.patience:
            break
    both.load_state_dict(best)


def _steps(learned: Judgements, queries: int, seed: int, number: int) -> Iterator[Judgements]:
    """Queries that have a gain, shuffled, so many at a time, with all their judgements."""
    useful = np.unique(learned.query[learned.gain > 0])
    generator_for("towers", seed, number).shuffle(useful)
    order = np.argsort(learned.query, kind="stable")
    ordered = learned.query[order]
    for start in range(0, len(useful), queries):
        chosen = useful[start : start + queries]
        ends = (np.searchsorted(ordered, chosen, side) for side in ("left", "right"))
        rows = np.concatenate([order[low:high] for low, high in zip(*ends, strict=True)])
        yield Judgements(query=learned.query[rows], text=learned.text[rows], gain=learned.gain[rows])


def _step(query: nn.Module, items: nn.Module, part: Judgements, plan: TowerPlan, optimiser: torch.optim.Optimizer) -> float:
    queries, query_n = np.unique(part.query, return_inverse=True)
    texts, text_n = np.unique(part.text, return_inverse=True)
    gain_BM = torch.full((len(queries), len(texts)), -1.0)
    gain_BM[torch.from_numpy(query_n), torch.from_numpy(text_n)] = torch.from_numpy(part.gain)
    query_BP, item_MP = query(torch.from_numpy(queries)), items(torch.from_numpy(texts))
    loss = sum_of_losses(query_BP, item_MP, gain_BM, plan)
    optimiser.zero_grad()
    loss.backward()
    optimiser.step()
    return float(loss.detach())


def sum_of_losses(query_BP: torch.Tensor, item_MP: torch.Tensor, gain_BM: torch.Tensor, plan: TowerPlan) -> torch.Tensor:
    """Of all dimensions and of every prefix; gains below 0 are texts that were not judged for the query."""
    widths = sorted({*plan.prefixes, query_BP.shape[1]})
    parts = []
    for width in widths:
        cosine_BM = normalize(query_BP[:, :width], dim=1) @ normalize(item_MP[:, :width], dim=1).T
        parts.append(_ranking_loss(cosine_BM / plan.temperature, gain_BM))
    return torch.stack(parts).mean()


def _ranking_loss(logits_BM: torch.Tensor, gain_BM: torch.Tensor) -> torch.Tensor:
    """Cross-entropy against shares of gain among all texts, and against the order of gains among the judged ones."""
    share_BM = gain_BM.clamp(min=0)
    share_BM = share_BM / share_BM.sum(dim=1, keepdim=True)
    among_all = -(share_BM * logits_BM.log_softmax(dim=1)).sum(dim=1)
    is_judged = gain_BM >= 0
    wanted_BM = (gain_BM / GAIN_TEMPERATURE).masked_fill(~is_judged, -torch.inf).softmax(dim=1)
    logs_BM = logits_BM.masked_fill(~is_judged, -torch.inf).log_softmax(dim=1).masked_fill(~is_judged, 0.0)
    return (among_all - (wanted_BM * logs_BM).sum(dim=1)).mean()


def new_letter_tower(hashed: sp.csr_matrix, layer: int, dimensions: int, seed: int) -> LetterTower:
    return LetterTower(hashed, layer, dimensions, seed_for("letter tower", seed) % 2**31)
