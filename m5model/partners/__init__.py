"""Partners' experiments: labels and a bundle in, figures, a model and a report out.

    partner    schemas/partners/NAME.py, PARTNER: label kind, own evidence columns, view, primary metric, baseline, groups
    data       reading.open_data(workspace, partner, SET or PATH) → data.PartnerData, an Arrow table, all faults refused at once
    vectors    vectors.open_vectors(workspace, bundle) → Vectors.of(texts): unit vectors of one space, each text once
    inputs     inputs/KIND.py: numbers of a row for an ensemble, by label kind: fit(given, rows) → Inputs.matrix(data, …)
    strategy   strategies/NAME.py: SUMMARY, NEEDS, COSTS, GOOD_FOR, SERVES (label kinds), USES_VECTORS, Settings,
               fit(given, settings) → Fitted with scores(data, vectors, rows) and save(folder), and load(folder) → Fitted
    metric     evaluation/metrics/FAMILY.py, METRICS: functions of evaluation.scored.Scored (scores beside what is true)
    experiment experiment.run_experiment(…) → Outcome: figures with intervals, comparisons with verdicts, groups, mistakes

A new partner, strategy or family of metrics is one more file in its folder. ``Vectors`` is None where a model is fitted without
our vectors: what a strategy adds to the partner's baseline is the lift.
"""
