"""Vectors recorded on one kind of machine, against this one's: a fleet may be mixed."""

from benchmarks.instruction_sets import compare_with_recorded
from m5model.runtime.instruction_set import instruction_set


def test_this_machine_agrees_with_the_one_that_recorded() -> None:
    agreement = compare_with_recorded()
    assert agreement.min_cosine >= 0.9999
    if agreement.recorded_by == instruction_set():
        assert agreement.max_abs_diff < 1e-6
