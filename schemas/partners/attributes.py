"""Document understanding: which value of an attribute does a listing state, if any?"""

from schemas.labels import ATTRIBUTES
from schemas.partner import COMMON_COLUMNS, Partner
from schemas.tables import TEXT, Column

PARTNER = Partner(
    name="attributes",
    owner="document-understanding",
    description="Values of attributes that listings state; null where a listing is known not to state any.",
    labels=ATTRIBUTES,
    evidence=(Column(name="category", type=TEXT, meaning="category of the listing, as the seller chose it"),),
    view="attributes",
    metric="coverage_at_p85",
    baseline="dictionary",
    groups=(*COMMON_COLUMNS, "name"),
)
