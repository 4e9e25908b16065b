"""Duplicate detection: are two listings the same product?"""

import pyarrow as pa

from schemas.labels import PAIRS
from schemas.partner import COMMON_COLUMNS, PRODUCT_LINE, Partner, both_sides
from schemas.tables import TEXT, Column

PARTNER = Partner(
    name="duplicates",
    owner="duplicate-detection",
    description="Pairs of listings that are the same product, with a calibrated probability.",
    labels=PAIRS,
    evidence=(
        *both_sides(
            Column(name="brand", type=TEXT, meaning="brand as the seller wrote it"),
            Column(name="price", type=pa.float64(), unit="any one currency", meaning="price"),
        ),
        PRODUCT_LINE,
    ),
    view="duplicates",
    metric="pr_auc",
    baseline="frozen",
    groups=(*COMMON_COLUMNS, PRODUCT_LINE.name),
)
