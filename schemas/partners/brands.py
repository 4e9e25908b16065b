"""Brand classification: whose product is a listing, and is its brand one that we know?"""

from schemas.labels import CLASSES
from schemas.partner import COMMON_COLUMNS, PRODUCT_LINE, Partner

PARTNER = Partner(
    name="brands",
    owner="brand-classification",
    description="Listings labelled with their brand (scheme brand): it is named with a confidence, or refused as unknown.",
    labels=CLASSES,
    evidence=(PRODUCT_LINE,),
    view="brands",
    metric="answer_pr_auc",
    baseline="class-ranking",
    groups=(*COMMON_COLUMNS, PRODUCT_LINE.name),
)
