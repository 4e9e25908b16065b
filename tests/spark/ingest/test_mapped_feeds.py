"""A feed of another shape goes through its mapping, in the tasks, and its account closes as any other's."""

import json
from pathlib import Path

from deltalake import DeltaTable

from m5model.feeds.mapping_files import read_mapping
from schemas.workspace import Workspace
from spark.ingest.ingest import ingest_feed

SHOP = """Handle,Title,Body (HTML),Vendor,Type,Option1 Name,Option1 Value,Variant SKU,Variant Price
tasse,Tasse,<p>Hält&nbsp;warm.</p>,Müller,Küche,Farbe,rot,A&amp;B,9.90
tasse,,,,,,blau,A-2,9.90
teller,Teller,,,Küche,Title,Default Title,,4.50
"""


def test_rows_become_listings_and_rejects_keep_what_the_feed_said(spark, tmp_path: Path) -> None:
    folder = tmp_path / "feed" / "locale=DE"
    folder.mkdir(parents=True)
    (folder / "shop.csv").write_text(SHOP)
    mapping = read_mapping("shopify", {"locale": "FR", "source": "shop"})  # the folder says more of its records than a flag
    workspace = Workspace(str(tmp_path / "w"))
    result = ingest_feed(spark, workspace, [str(folder.parent)], run_id="mapped", max_reject_share=1, mapping=mapping)
    assert dict(result.accounting.rejected_reasons) == {"missing_title": 1}
    assert [account.unaccounted for account in result.accounts] == [0]
    rows = DeltaTable(workspace.table("listings")).to_pyarrow_table().to_pylist()
    found = {row["item_id"]: row for row in rows}
    assert set(found) == {"A&amp;B", "teller"}  # an id is a key: never altered
    cup = found["A&amp;B"]
    assert (cup["locale"], cup["source"], cup["description"], cup["brand"]) == ("DE", "shop", "Hält warm.", "Müller")
    assert (dict(cup["attributes"]), found["teller"]["attributes"]) == ({"Farbe": "rot"}, None)
    (reject,) = DeltaTable(workspace.table("listing_rejects")).to_pyarrow_table().to_pylist()
    assert json.loads(reject["raw"])["Variant Price"] == "9.90"
