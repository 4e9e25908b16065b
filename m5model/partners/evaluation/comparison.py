"""Two models on the same rows: the difference of a metric, its interval over entities, and a verdict."""

import numpy as np

from m5model.gates.intervals import Interval, bootstrap
from m5model.partners.evaluation.metric import Metric
from m5model.partners.evaluation.scored import Scored
from schemas.experiment import Comparison, Verdict


def compare(metric: Metric, ours: Scored, theirs: Scored, names: tuple[str, str], resamples: int = 200) -> Comparison:
    """Paired: both models are measured on the same resampled entities."""

    def difference(rows: np.ndarray) -> float:
        return metric.measure(ours.select(rows)) - metric.measure(theirs.select(rows))

    found = bootstrap(difference, ours.entity, resamples)
    return Comparison(
        metric=metric.name,
        ours=names[0],
        theirs=names[1],
        our_value=_number(metric.measure(ours)),
        their_value=_number(metric.measure(theirs)),
        difference=_number(found.value),
        low=_number(found.low),
        high=_number(found.high),
        verdict=judge_difference(found, metric.higher_is_better),
    )


def judge_difference(found: Interval, higher_is_better: bool) -> Verdict:
    """``better`` or ``worse`` where the whole interval says so, else ``not shown``."""
    low, high = (found.low, found.high) if higher_is_better else (-found.high, -found.low)
    return "better" if low > 0 else "worse" if high < 0 else "not shown"


def _number(value: float) -> float | None:
    """JSON has neither NaN nor infinity."""
    return round(float(value), 6) if np.isfinite(value) else None
