"""Airflow (3 or newer) keeps a workspace up to date: ingest → embed → publish → partners' experiments → the site.

Put this file into the folder of DAGs. It reads these Airflow Variables, which may be environment variables
(``AIRFLOW_VAR_M5_HOME=/opt/m5``):

    m5_home         the checkout of M5 with its environment in .venv; /opt/m5 if not set
    m5_workspace    the workspace, a folder or an s3a:// URI
    m5_feeds        the feeds of a day, a template: /feeds/{{ ds }} if not set
    m5_experiments  JSON: [{"partner": "duplicates", "labels": "NAME", "strategy": "frozen"}]; none if not set
    m5_site         where the site of the workspace goes; no site if not set

A task ends as its job does. Exit codes 2, 3 and 4 wait for a person, because the same input would end the same way: the task
fails at once. Anything else that is not 0 is tried again, and the job goes on where it was. A job's report, the last line that
it prints, is the task's XCom.
"""

import json
import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from datetime import timedelta
from pathlib import Path
from typing import Any

from airflow.sdk import DAG, BaseOperator, Variable, task
from airflow.sdk.exceptions import AirflowException, AirflowFailException

REFUSALS = {2: "bad arguments or configuration", 3: "bad data", 4: "a gate refused"}
LOGGED_CHARACTERS = 2_000  # of a line
XCOM_CHARACTERS = 40_000  # XComs lie in Airflow's database
ALWAYS_KEPT = ("job", "run_id", "report", "workspace", "seconds", "warnings", "accounting")


class M5Job(BaseOperator):
    """Runs one command of M5 and returns its report. ``command`` is what stands on the command line, templates included."""

    template_fields = ("command", "feeds")

    def __init__(self, *, command: Sequence[str], feeds: str = "", **settings: Any) -> None:
        super().__init__(**settings)
        self.command = list(command)
        self.feeds = feeds
        self._process: subprocess.Popen[str] | None = None

    def execute(self, context: Mapping[str, Any]) -> dict[str, Any]:
        home = Variable.get("m5_home", default="/opt/m5")
        command = [*self.command, *(["--feed", *self.feeds.split()] if self.feeds else [])]
        code, last_line = self._run(command, home, m5_environment(home, Variable.get("m5_workspace", default="")))
        if code in REFUSALS:
            raise AirflowFailException(f"{command}: exit code {code}, {REFUSALS[code]}: read the log above; no retry helps")
        if code:
            raise AirflowException(f"{command}: exit code {code}: a retry goes on where it was")
        return shorten(read_report(last_line))

    def on_kill(self) -> None:
        """Spark's JVM is a child of the command: the whole process group goes."""
        if self._process is not None and self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGTERM)

    def _run(self, command: Sequence[str], home: str, environment: Mapping[str, str]) -> tuple[int, str]:
        """The exit code and the last line of stdout. Both streams go to the task's log."""
        self.log.info("%s in %s", command, home)
        self._process = subprocess.Popen(
            command,
            cwd=home,
            env=dict(environment),
            stdout=subprocess.PIPE,
            encoding="utf-8",
            errors="replace",
            start_new_session=True,
        )
        try:
            last_line = self._follow(self._process)
            return self._process.wait(), last_line
        except BaseException:  # a time-out of Airflow is raised right here
            self.on_kill()
            raise

    def _follow(self, process: "subprocess.Popen[str]") -> str:
        last_line = ""
        with process.stdout or nullcontext(()) as lines:
            for line in lines:
                last_line = line.strip() or last_line
                self.log.info("%s", line.rstrip()[:LOGGED_CHARACTERS])
        return last_line


def m5_environment(home: str, workspace: str) -> dict[str, str]:
    """The environment's programs come first: spark-submit takes the python3 of the PATH."""
    programs = Path(home, ".venv", "bin")
    found = {**os.environ, "PATH": f"{programs}{os.pathsep}{os.environ.get('PATH', '')}"}
    return {**found, "M5_WORKSPACE": workspace} if workspace else found


def read_report(last_line: str) -> dict[str, Any]:
    """The report in the last line of stdout; what it says instead, where it is none."""
    try:
        found = json.loads(last_line)
    except ValueError:
        return {"last_line": last_line}
    return found if isinstance(found, dict) else {"last_line": last_line}


def shorten(report: dict[str, Any]) -> dict[str, Any]:
    """The report; where it is too long for an XCom, its main parts: ``report`` in it is the path of the whole one."""
    if len(json.dumps(report)) <= XCOM_CHARACTERS:
        return report
    return {name: report[name] for name in ALWAYS_KEPT if name in report}


def list_experiments(wanted: Sequence[Mapping[str, str]]) -> list[list[str]]:
    """One command for each experiment."""
    job = ["python", "jobs/run_partner_experiment.py"]
    return [[*job, *(part for name, value in one.items() for part in (f"--{name}", value))] for one in wanted]


with DAG(
    "m5_refresh",
    schedule="15 2 * * *",
    catchup=False,
    max_active_runs=1,  # a second run would wait for the leases of the first
    default_args={
        "retries": 3,
        "retry_delay": timedelta(minutes=5),
        "retry_exponential_backoff": 2.0,
        "max_retry_delay": timedelta(hours=1),
    },
    doc_md=__doc__,
    tags=["m5"],
) as dag:
    FEEDS = "{{ var.value.get('m5_feeds', '/feeds/' ~ (dag_run.run_after | ds)) }}"
    ingest = M5Job(task_id="ingest", command=["spark-submit", "jobs/ingest_catalog.py"], feeds=FEEDS)
    embed = M5Job(task_id="embed", command=["spark-submit", "jobs/embed_catalog.py"])
    publish = M5Job(task_id="publish", command=["spark-submit", "jobs/publish_features.py"])

    @task(retries=0)
    def plan_experiments() -> list[list[str]]:
        return list_experiments(Variable.get("m5_experiments", default=[], deserialize_json=True))

    @task(retries=0)
    def plan_site() -> list[list[str]]:
        out = Variable.get("m5_site", default="")
        return [["m5", "report", "--json", "--out", out]] if out else []

    experiments = M5Job.partial(task_id="experiment", max_active_tis_per_dagrun=1).expand(command=plan_experiments())
    # Where there are no experiments, their task is skipped, and the site is made all the same. Where anything failed, there is
    # none: a last task that succeeds would make the whole run a success.
    site = M5Job.partial(task_id="site", trigger_rule="none_failed").expand(command=plan_site())
    ingest >> embed >> publish >> experiments >> site
