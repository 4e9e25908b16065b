"""The loss of a student: its similarities of the texts in a batch against its teacher's.

The target is a matrix of cosines between texts, not the teacher's vectors, so sizes and vocabularies may differ, and no labels
are needed. Source: relational knowledge distillation (Park et al. 2019, distance-wise loss) on sentence vectors; MiniLMv2
(Wang et al. 2021) does the same with relations between tokens.

Tensor suffixes: B rows, D and E dimensions.
"""

import torch
from torch import Tensor


def pair_similarities(vectors_BD: Tensor) -> Tensor:
    """Cosines of all pairs of different rows of unit vectors: (B * (B - 1) / 2,) float32."""
    similarities_BB = vectors_BD @ vectors_BD.T
    first, second = torch.triu_indices(len(vectors_BD), len(vectors_BD), offset=1, device=vectors_BD.device)
    return similarities_BB[first, second]


def judgement_loss(student_BD: Tensor, teacher_BE: Tensor) -> Tensor:
    """Mean squared error of the student's pair similarities, in units of the variance of the teacher's in this batch.

    1 is what a constant guess of the teacher's mean scores, 0 is perfect. Without the division the loss, and with it the right
    learning rate, would depend on how far the teacher spreads its vectors: after MLM alone all cosines are close.
    """
    target = pair_similarities(teacher_BE)
    spread = target.var(correction=0).clamp_min(1e-6)
    return torch.mean((pair_similarities(student_BD) - target) ** 2) / spread


def imitation_loss(student_BE: Tensor, teacher_BE: Tensor) -> Tensor:
    """Squared distance from the teacher's vectors, in units of their own spread in this batch.

    1 is what a constant guess of the teacher's mean vector scores, 0 is perfect.
    """
    spread = (teacher_BE - teacher_BE.mean(dim=0)).square().sum(dim=1).mean().clamp_min(1e-6)
    return (student_BE - teacher_BE).square().sum(dim=1).mean() / spread


def spread_loss(vectors_BD: Tensor) -> Tensor:
    """Measures how far unit vectors are from lying evenly on the sphere: their mean cosine squared, and what their mean squared
    cosine exceeds that of random ones by (Zhang et al. 2017, global orthogonal regularisation)."""
    similarities = pair_similarities(vectors_BD)
    excess = similarities.square().mean() - 1 / vectors_BD.shape[1]
    return similarities.mean().square() + excess.clamp_min(0)
