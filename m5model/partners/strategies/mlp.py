"""``mlp``: numbers and historical rates through a network of three layers; no text is read.

It is the second phase of ``two-phase`` by itself.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from m5model.partners.data import PartnerData
from m5model.partners.inputs import clicks
from m5model.partners.networks import Network, NetworkSettings, to_probability
from m5model.partners.strategy import Given, Scores
from m5model.partners.vectors import Vectors

SUMMARY = "numbers and historical rates through a network of three layers"
NEEDS = "clicks with evidence, torch (m5[train]) to train; no bundle"
COSTS = "a minute; microseconds an impression afterwards, without torch"
GOOD_FOR = "rates where no text is known"
SERVES = ("clicks",)
USES_VECTORS = False
TRAINS_ENCODER = False

NETWORK_FILE = "network.npz"


@dataclass(frozen=True, kw_only=True)
class Settings(NetworkSettings):
    """The network."""


class Mlp:
    """Inputs without vectors, and the network that reads them."""

    def __init__(self, rows: clicks.ClickInputs, network: Network) -> None:
        self._inputs = rows
        self._network = network

    def scores(self, data: PartnerData, vectors: Vectors | None, rows: np.ndarray) -> Scores:
        """Probabilities (k,)."""
        return Scores(values=to_probability(self._network.logits(self._inputs.matrix(data, None, rows))))

    def save(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._inputs.save(folder)
        self._network.save(folder / NETWORK_FILE)


def fit(given: Given, settings: Settings) -> Mlp:
    """The network with the lowest loss on validate."""
    from m5model.partners.network_training import Rows, train_network

    learn, validate = given.learn(), given.data.rows_of("validate")
    inputs = clicks.fit_without_texts(given, learn)
    learned = Rows.of(given.data, learn, inputs.learning_matrix(given.data, None, learn))
    held = Rows.of(given.data, validate, inputs.matrix(given.data, None, validate))
    return Mlp(inputs, train_network(learned, held, settings, given.seed, "mlp"))


def load(folder: Path) -> Mlp:
    return Mlp(clicks.load(folder), Network.load(folder / NETWORK_FILE))
