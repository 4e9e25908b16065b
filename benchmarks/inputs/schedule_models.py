"""Run by a Python that has databricks-bundles, kubeflow-spark-api and PyYAML: do files of schedules/ fit their models?

    python schedule_models.py SCHEDULES

Both packages hold the resources' models as their makers generate them: Databricks from the schema of bundles, Kubeflow from the
OpenAPI schema of the Spark operator. Prints one JSON object: faults by file, and how many of some planted faults are found.
"""

import copy
import json
import sys
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import yaml
from databricks.bundles.jobs import Job
from kubeflow_spark_api import models
from pydantic import ValidationError

# Of a bundle's file, the parts that are no resources: the models of databricks-bundles do not hold them.
TOP_LEVEL = {"bundle", "sync", "variables", "resources", "targets"}
KINDS = {
    "SparkApplication": models.SparkV1beta2SparkApplication,
    "ScheduledSparkApplication": models.SparkV1beta2ScheduledSparkApplication,
}

Values = dict[str, Any]


def main(schedules: Path) -> Values:
    bundle = schedules / "databricks" / "databricks.yml"
    files: dict[Path, Callable[[Values], Iterator[str]]] = {bundle: find_bundle_faults}
    files |= dict.fromkeys(sorted((schedules / "spark-operator").glob("*.yaml")), find_operator_faults)
    planted = [fault for file, find in files.items() for fault in plant(yaml.safe_load(file.read_text()), find)]
    return {
        "databricks_bundles": version("databricks-bundles"),
        "kubeflow_spark_api": version("kubeflow-spark-api"),
        "faults": {
            str(file.relative_to(schedules)): list(find(yaml.safe_load(file.read_text()))) for file, find in files.items()
        },
        "planted": len(planted),
        "planted_and_found": sum(planted),
    }


def find_bundle_faults(values: Values) -> Iterator[str]:
    """What of a bundle's file its schema does not have."""
    yield from (f"unknown part {name}" for name in sorted(set(values) - TOP_LEVEL))
    resources = values.get("resources", {})
    yield from (f"no model of {name}" for name in sorted(set(resources) - {"jobs"}))
    for name, job in resources.get("jobs", {}).items():
        try:
            Job.from_dict(job)
        except (ValueError, TypeError) as error:
            yield f"{name}: {error}"


def find_operator_faults(values: Values) -> Iterator[str]:
    """What of a SparkApplication its schema does not have. The models drop names that they do not know: those are compared."""
    kind = KINDS.get(values.get("kind", ""))
    if kind is None or values.get("apiVersion") != "sparkoperator.k8s.io/v1beta2":
        yield f"unknown kind {values.get('kind')} of {values.get('apiVersion')}"
        return
    try:
        kept = kind.from_dict(values).to_dict()
    except ValidationError as error:
        yield str(error)
        return
    yield from (f"unknown name {name}" for name in _names(values) if name not in set(_names(kept)))


def _names(values: Any, path: str = "") -> Iterator[str]:
    """Paths of all keys."""
    pairs = values.items() if isinstance(values, dict) else enumerate(values) if isinstance(values, list) else ()
    for key, value in pairs:
        yield f"{path}.{key}"
        yield from _names(value, f"{path}.{key}")


def plant(values: Values, find: Callable[[Values], Iterator[str]]) -> Iterator[bool]:
    """Misspell every name of the resources, one after the other: is it found?"""
    for place in _places(values):
        damaged = copy.deepcopy(values)
        holder = damaged
        for key in place[:-1]:
            holder = holder[key]
        holder[f"{place[-1]}x"] = holder.pop(place[-1])
        yield any(True for _ in find(damaged))


def _places(values: Any, place: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Names that the schemas fix: not those of jobs, variables, targets, settings of Spark."""
    free = {("resources", "jobs"), ("variables",), ("targets",), ("metadata",), ("bundle",), ("sync",)}
    if place in free or place[-1:] in (("spark_conf",), ("sparkConf",)):
        inner = values.items() if place == ("resources", "jobs") else ()
        for key, value in inner:
            yield from _places(value, (*place, key))
        return
    pairs = values.items() if isinstance(values, dict) else enumerate(values) if isinstance(values, list) else ()
    for key, value in pairs:
        if isinstance(key, str):
            yield (*place, key)
        yield from _places(value, (*place, key))


if __name__ == "__main__":
    print(json.dumps(main(Path(sys.argv[1]))))
