"""Says where everything lies under a workspace's root. No other module knows a path.

Names become paths here: each method raises ConfigurationError for a name that is not one part of a path, see schemas.checks.
"""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass

from schemas.checks import require_name
from schemas.errors import ConfigurationError

DEFAULT_ROOT = "workspace"
ROOT_VARIABLE = "M5_WORKSPACE"


@dataclass(frozen=True)
class Workspace:
    """A folder or an ``s3a://BUCKET/PREFIX`` that holds one catalogue with all that is made from it."""

    root: str

    @classmethod
    def resolve(cls, flag: str | None, environment: Mapping[str, str] = os.environ) -> "Workspace":
        """``--workspace``, else ``$M5_WORKSPACE``, else ``./workspace``. Local roots become absolute.

        Raises ConfigurationError for a root that readers of Delta (delta-rs) would look for in another place.
        """
        root = flag or environment.get(ROOT_VARIABLE) or DEFAULT_ROOT
        root = root.removeprefix("file://")
        _check_root(root if "://" in root else os.path.abspath(os.path.expanduser(root)))
        if "://" in root:
            scheme, rest = root.split("://", 1)
            return cls(f"{'s3a' if scheme == 's3' else scheme}://{rest.rstrip('/')}")
        expanded = os.path.expanduser(root)
        if expanded.startswith("~"):  # else a folder of that name would be made here
            raise ConfigurationError(
                f"the workspace is {root!r}, and there is no such home folder", next_step="give the whole path, or set HOME"
            )
        return cls(os.path.abspath(expanded))

    @property
    def is_remote(self) -> bool:
        return "://" in self.root

    def table(self, name: str) -> str:
        """Root of a Delta table: ``listings``, ``listing_rejects``, ``embeddings`` or ``features/VIEW``."""
        for part in name.split("/"):
            require_name("table", part)
        return f"{self.root}/{name}"

    @property
    def training_sets(self) -> str:
        return f"{self.root}/training_sets"

    def training_set(self, name: str, version: str) -> str:
        return f"{self.training_sets}/{require_name('training set', name)}/{require_name('version', version)}"

    @property
    def label_sets(self) -> str:
        return f"{self.root}/label_sets"

    def label_set(self, name: str, version: str) -> str:
        return f"{self.label_sets}/{require_name('label set', name)}/{require_name('version', version)}"

    @property
    def bundles(self) -> str:
        return f"{self.root}/bundles"

    def bundle(self, bundle_id: str) -> str:
        return f"{self.bundles}/{require_name('bundle', bundle_id)}"

    @property
    def reports(self) -> str:
        return f"{self.root}/reports"

    def report(self, name: str) -> str:
        """Names the file of what one start of a job did, see schemas.report.report_name."""
        return f"{self.reports}/{require_name('report', name)}.json"

    def page(self, name: str) -> str:
        """A report for people."""
        return f"{self.reports}/{require_name('report', name)}.html"

    def feature_profile(self, view: str, version: int) -> str:
        """Names the file of what was counted in one version of a feature view, see schemas.feature_profile."""
        return f"{self.root}/feature_profiles/{require_name('view', view)}/{version:020d}.json"

    def pin(self, run_id: str) -> str:
        """Names the file of what an embed run fixed at its first start, so that a restart sees the same listings."""
        return f"{self.reports}/{require_name('run id', run_id)}.pin.json"

    def leases(self, table: str) -> str:
        """Names the folder of leases on tables that one run at a time writes to, a file per holder, see m5model.files.lease."""
        return f"{self.root}/leases/{require_name('table', table)}"

    def feed_position(self, table_hash: str) -> str:
        """Names the file of the version up to which a table of Delta was ingested as a feed."""
        return f"{self.root}/feed_positions/{require_name('table', table_hash)}.json"

    def feed_changes(self, run_id: str) -> str:
        """Names the folder of the changes of such tables while a run reads them."""
        return f"{self.root}/staging/changes/{require_name('run id', run_id)}"

    def view_state(self, name: str) -> str:
        """Names the folder of what publishing keeps to follow changes: cells, neighbours, sums. It can be made again."""
        return f"{self.root}/view_state/{require_name('view state', name)}"

    @property
    def teacher_outputs(self) -> str:
        """Vectors that teachers gave, kept for their students; what is here can be made again."""
        return f"{self.root}/teacher_outputs"

    @property
    def experiments(self) -> str:
        return f"{self.root}/experiments"

    def experiment(self, partner: str, experiment_id: str) -> str:
        """Names the folder of one experiment of a partner: manifest, model, scores, report."""
        return f"{self.experiments}/{require_name('partner', partner)}/{require_name('experiment', experiment_id)}"

    @property
    def next(self) -> "Workspace":
        """Holds the views of the space that is coming, while readers still have the old one: ``next/features/VIEW``."""
        return Workspace(f"{self.root}/next")

    @property
    def releases(self) -> str:
        """Names the folder of releases, see schemas.release."""
        return f"{self.root}/releases"

    def release(self, number: int) -> str:
        return f"{self.releases}/{number:08}.json"

    def release_evidence(self, evidence_id: str) -> str:
        return f"{self.releases}/evidence/{require_name('evidence', evidence_id)}.json"

    @property
    def registered_models(self) -> str:
        """Names the folder where an MLflow registry on SQLite keeps the models of releases."""
        return f"{self.root}/mlflow_models"

    @property
    def checkpoints(self) -> str:
        return f"{self.root}/checkpoints"


def _check_root(root: str) -> None:
    if encoded := re.search("%[0-9A-Fa-f]{2}", root):
        raise ConfigurationError(
            f"the workspace {root} has % and two digits in its path ({encoded[0]}): readers of Delta decode that",
            next_step="give a --workspace whose path has none",
        )
