"""Parts of the rows to learn from, by entity: a row is judged by a model that was fitted without its entity."""

from collections.abc import Iterator

import numpy as np

FOLDS = 5


def folds_of(entity: np.ndarray, folds: int = FOLDS) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Places (k,) to fit on and places (m,) to judge, for every fold that has both."""
    number = np.unique(entity, return_inverse=True)[1] % folds
    for fold in range(folds):
        inside, outside = np.flatnonzero(number != fold), np.flatnonzero(number == fold)
        if len(inside) and len(outside):
            yield inside, outside
