"""Relevance: the cosine of a query and a listing. A consumer keeps its queries' vectors, and the index is read anew."""

from m5model.partners.data import PartnerData
from m5model.partners.evaluation.scored import Scored, pair_with_truth
from m5model.releases.reading import Reading

METRICS = ("ndcg_at_10",)
CONSUMED = "ndcg_at_10"


def probe(data: PartnerData, reading: Reading) -> Scored:
    rows = data.rows_of("test")
    test = data.select(rows)
    queries_BD = reading.learned.of(test.table.column("query").to_pylist())
    return pair_with_truth(data, rows, (queries_BD * reading.read.of(test.texts())).sum(axis=1))
