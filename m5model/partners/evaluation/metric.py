"""A metric: a number of scored rows. Families of them are the files of evaluation/metrics."""

from collections.abc import Callable
from dataclasses import dataclass

from m5model.partners.evaluation import metrics
from m5model.partners.evaluation.scored import Scored
from schemas.errors import ConfigurationError
from schemas.registry import load_members


@dataclass(frozen=True, kw_only=True)
class Metric:
    """``measure`` gives NaN where rows say nothing, e.g. where there is no match among them."""

    name: str
    measure: Callable[[Scored], float]
    meaning: str
    higher_is_better: bool = True
    kinds: tuple[str, ...]  # label kinds that it is for


def list_metrics() -> dict[str, Metric]:
    """All metrics by name."""
    return {metric.name: metric for module in load_members(metrics).values() for metric in module.METRICS}


def find_metric(name: str) -> Metric:
    """Raises ConfigurationError that names the metrics, where there is no such one."""
    known = list_metrics()
    if name not in known:
        raise ConfigurationError(f"there is no metric {name!r}", next_step=f"give one of: {', '.join(known)}")
    return known[name]


def metrics_of(kind: str) -> list[Metric]:
    """The metrics of a label kind."""
    return [metric for metric in list_metrics().values() if kind in metric.kinds]
