"""The listings' map of a finished search experiment: what a catalogue's vectors go through on their way into an index."""

from m5model.partners.finished import list_experiments, require_published_space
from m5model.partners.vector_map import VectorMap
from schemas.errors import ConfigurationError
from schemas.workspace import Workspace

STRATEGIES = ("projection", "two-tower", "fusion")  # whose models have one


def newest_map(workspace: Workspace, partner: str, space_id: str) -> str:
    """Id of the newest experiment that has a map of that space; empty where there is none."""
    fitting = [
        one.id for one in list_experiments(workspace, partner) if one.strategy in STRATEGIES and one.space_id == space_id
    ]
    return fitting[-1] if fitting else ""


def read_map(workspace: Workspace, partner: str, experiment: str, space_id: str) -> VectorMap:
    """The map, every byte of its experiment checked.

    Raises ConfigurationError where its model has none, SpaceMismatchError where it reads another space.
    """
    # Here, so that a publication without an experiment, and its --help, load nothing that fits.
    from m5model.partners.records import open_experiment
    from m5model.partners.towers import towers_of

    opened = open_experiment(workspace, partner, experiment)
    towers = towers_of(opened.fitted)
    if towers is None:
        raise ConfigurationError(
            f"experiment {experiment} ({opened.manifest.strategy}) has no map of listings' vectors",
            next_step=f"give one of the strategies {', '.join(STRATEGIES)}",
        )
    require_published_space(experiment, towers.space_id, space_id)
    return towers.items
