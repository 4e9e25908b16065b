"""Semantic search: which listings answer what a customer typed?"""

from schemas.labels import RELEVANCE
from schemas.partner import COMMON_COLUMNS, PRODUCT_LINE, Partner

PARTNER = Partner(
    name="search",
    owner="semantic-search",
    description="Listings ranked for queries, in the query's language and across languages.",
    labels=RELEVANCE,
    evidence=(PRODUCT_LINE,),
    view="search",
    metric="ndcg_at_10",
    baseline="bm25",
    groups=("query_language", *COMMON_COLUMNS, PRODUCT_LINE.name),
)
