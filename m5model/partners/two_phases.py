"""The two phases of click prediction: a head on text vectors and categories, then a network of its answer and the rates."""

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from m5model.partners.click_columns import ClickColumns, ad_texts
from m5model.partners.data import PartnerData
from m5model.partners.inputs import clicks
from m5model.partners.inputs._vectors import Directions, require_space
from m5model.partners.networks import Network, to_probability
from m5model.partners.strategy import Scores
from m5model.partners.vectors import Vectors

if TYPE_CHECKING:
    from m5model.partners.fine_tuning import Tower

FIRST_FOLDER, SECOND_FOLDER, VALUES_FILE, NETWORK_FILE = "first", "second", "values.json", "network.npz"
ENCODER_FOLDER = "encoder"


@dataclass(frozen=True, kw_only=True)
class TextInputs:
    """Reads for the first phase: vectors of ad and page along the main directions, and the commonest values of columns."""

    columns: ClickColumns
    directions: Directions
    values: dict[str, tuple[str, ...]]  # of each column, that have an input of their own

    def matrix(self, data: PartnerData, vectors: Vectors | None, rows: np.ndarray) -> np.ndarray:
        """(k, f) float64."""
        chosen, given = data.select(rows), require_space(vectors, self.directions)
        ads_BD, pages = given.of(ad_texts(chosen)), self.columns.page_texts(chosen)
        parts = [self.directions.project(ads_BD).astype(np.float64)]
        if pages is not None:
            pages_BD = given.of(pages)
            parts += [self.directions.project(pages_BD), self.directions.pair_inputs(ads_BD, pages_BD)]
        for name, known in self.values.items():
            found = np.asarray(self.columns.values_of(chosen, name), object)
            parts.append((found[:, None] == np.asarray(known, object)[None, :]).astype(np.float64))
        return np.concatenate(parts, axis=1)

    def save(self, folder: Path) -> None:
        (folder / VALUES_FILE).write_text(json.dumps(self.values, ensure_ascii=False), encoding="utf-8")
        self.directions.save(folder)


@dataclass(frozen=True, kw_only=True)
class TwoPhases:
    """Both phases, fitted."""

    texts: TextInputs
    head: Network
    rates: clicks.ClickInputs
    network: Network
    tower: "Tower | None" = None  # the encoder, where it was fine-tuned

    @cached_property
    def own_vectors(self) -> Vectors | None:
        """Returns those of the fine-tuned encoder; None where the bundle's are read."""
        return None if self.tower is None else self.tower.vectors()

    def _say(self, data: PartnerData, vectors: Vectors | None, rows: np.ndarray) -> np.ndarray:
        """Returns what the first phase says (k,)."""
        return self.head.logits(self.texts.matrix(data, self.own_vectors or vectors, rows))

    def scores(self, data: PartnerData, vectors: Vectors | None, rows: np.ndarray) -> Scores:
        """Probabilities (k,)."""
        said = self._say(data, vectors, rows)
        return Scores(values=to_probability(self.network.logits(beside(said, self.rates.matrix(data, None, rows)))))

    def parts(self, data: PartnerData, vectors: Vectors | None, rows: np.ndarray) -> dict[str, Scores]:
        """The first phase by itself."""
        return {"phase 1": Scores(values=to_probability(self._say(data, vectors, rows)))}

    def save(self, folder: Path) -> None:
        for name, inputs, network in ((FIRST_FOLDER, self.texts, self.head), (SECOND_FOLDER, self.rates, self.network)):
            (folder / name).mkdir(parents=True, exist_ok=True)
            inputs.save(folder / name)
            network.save(folder / name / NETWORK_FILE)
        if self.tower is not None:
            self.tower.save(folder / ENCODER_FOLDER)


def beside(said: np.ndarray, rates: np.ndarray) -> np.ndarray:
    """Returns what the second phase reads (k, 1 + f)."""
    return np.concatenate([said[:, None], rates], axis=1)


def load_phases(folder: Path) -> TwoPhases:
    first, second = folder / FIRST_FOLDER, folder / SECOND_FOLDER
    rates, directions = clicks.load(second), Directions.load(first)
    values = json.loads((first / VALUES_FILE).read_text(encoding="utf-8"))
    if directions is None:
        raise FileNotFoundError(first)
    texts = TextInputs(
        columns=rates.columns, directions=directions, values={name: tuple(known) for name, known in values.items()}
    )
    tower = None
    if (folder / ENCODER_FOLDER).is_dir():
        from m5model.partners.fine_tuning import Tower

        tower = Tower.load(folder / ENCODER_FOLDER)
    return TwoPhases(
        tower=tower,
        texts=texts,
        head=Network.load(first / NETWORK_FILE),
        rates=rates,
        network=Network.load(second / NETWORK_FILE),
    )
