"""Criteo's display advertising: clicks with 13 counts and 26 values whose meaning is not published; no texts."""

import pyarrow as pa

from schemas.labels import CLICKS
from schemas.partner import Partner
from schemas.tables import TEXT, Column

PARTNER = Partner(
    name="criteo",
    owner="benchmarks",
    description="Clicks of Criteo's challenge of 2014, the part that is public.",
    labels=CLICKS,
    evidence=(
        *(Column(name=f"I{number}", type=pa.float64(), unit="count", meaning="not published") for number in range(1, 14)),
        *(Column(name=f"C{number}", type=TEXT, meaning="not published") for number in range(1, 27)),
    ),
    view="ctr",
    metric="roc_auc",
    baseline="frozen",
)
