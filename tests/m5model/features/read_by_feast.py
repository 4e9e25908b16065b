"""Run by an interpreter that has Feast: applies a repository, asks for a view's rows, and prints what it got as JSON.

PYTHON read_by_feast.py REPOSITORY VIEW ENTITIES.json COLUMN...
"""

import json
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd
from feast import FeatureStore  # type: ignore[import-not-found, unused-ignore]


def main(repository: str, view: str, entities: list[dict[str, Any]], columns: list[str]) -> dict[str, Any]:
    """Rows as of the entities' own times, and what an online store serves afterwards."""
    feast = Path(sys.executable).with_name("feast")
    subprocess.run([feast, "apply"], cwd=repository, check=True, capture_output=True)
    store = FeatureStore(repo_path=repository)
    features = [f"{view}:{name}" for name in columns]
    frame = pd.DataFrame(entities)
    frame["event_timestamp"] = pd.to_datetime(frame["event_timestamp"], utc=True, format="ISO8601")
    past = store.get_historical_features(entity_df=frame, features=features).to_df()
    store.materialize(datetime(2020, 1, 1, tzinfo=UTC), datetime.now(UTC), feature_views=[view])
    keys = [{name: value for name, value in one.items() if name != "event_timestamp"} for one in entities]
    online = store.get_online_features(features=features, entity_rows=keys).to_dict()
    described = store.get_feature_view(view)
    key = list(keys[0])
    return {
        "past": json.loads(past.sort_values([*key, "event_timestamp"]).to_json(orient="records")),
        "online": online,
        "tags": dict(described.tags),
        "owner": described.owner,
    }


if __name__ == "__main__":
    asked = json.loads(Path(sys.argv[3]).read_text(encoding="utf-8"))
    sys.stdout.write(json.dumps(main(sys.argv[1], sys.argv[2], asked, sys.argv[4:])) + "\n")
