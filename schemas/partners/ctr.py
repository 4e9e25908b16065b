"""Click-through rate: how likely is an ad clicked on a page?"""

import pyarrow as pa

from schemas.labels import CLICKS
from schemas.partner import COMMON_COLUMNS, Partner
from schemas.tables import INSTANT, TEXT, Column

PARTNER = Partner(
    name="ctr",
    owner="click-through-rate",
    description="Probabilities of clicks on ads, from ad and page, where it is shown, and what was clicked before.",
    labels=CLICKS,
    evidence=(
        Column(name="page_text", type=TEXT, meaning="title and bullets of the page that the ad is shown on"),
        Column(name="gl_group", type=TEXT, meaning="general ledger group of the ad's product"),
        Column(name="widget", type=TEXT, meaning="the slot of the page"),
        Column(name="search_engine", type=TEXT, meaning="where the visitor came from"),
        Column(name="historical_ctr_ad", type=pa.float64(), unit="0 to 1", meaning="clicks per impression of the ad"),
        Column(name="historical_ctr_page", type=pa.float64(), unit="0 to 1", meaning="clicks per impression on the page"),
        Column(name="at", type=INSTANT, meaning="when it was shown: rates are then of what was shown before"),
    ),
    view="ctr",
    metric="roc_auc",
    baseline="frozen",
    groups=(*COMMON_COLUMNS, "widget", "gl_group", "search_engine"),
)
