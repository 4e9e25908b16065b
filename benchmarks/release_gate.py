"""What the gate of `m5 release` lets pass and refuses, and what a kill leaves behind.

    python benchmarks/release_gate.py --workspace W [--kills 20] [--seed 0]

W is a workspace with a student and labels of keyed listings, such as that of `make demo`; nothing is written into it. The
student becomes the champion of a copy. Then are released: the same student under another name (must pass), and copies in which
all letters of one script are read as one letter, so that one language is worse and no other is (must be refused, naming that
language and no other). At last `m5 release` and `m5 release --rollback` are killed at random moments
(SIGKILL): what readers see is a whole table of the one space or of the other, and the same command again finishes.
The last line of stdout is one JSON object.
"""

import argparse
import contextlib
import json
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
from deltalake import CommitProperties, DeltaTable, write_deltalake
from inputs.commands import M5

from m5model.bundles.find import find_bundle, read_manifest, write_manifest
from m5model.bundles.released import list_releases, newest_release
from m5model.features.publications import PUBLISH, describe_commit
from m5model.files.checksums import sha256_of
from m5model.training.progress import say
from schemas.bundle import TOKENIZER_FILE
from schemas.release import ReleaseEvidence
from schemas.report import JsonValue
from schemas.workspace import Workspace

# Letters that no other of our languages is written with.
SCRIPTS = {"ja": ("[\u3040-\u30ff\u3400-\u9fff]", "\u306e"), "ar": ("[\u0600-\u06ff]", "\u0627")}
VIEWS = ("attributes", "brands", "ctr", "duplicates", "search")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workspace", required=True, help="with a student and labels, e.g. that of make demo")
    parser.add_argument("--kills", type=int, default=20, help="of a release, and of a rollback (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="of moments (default: %(default)s)")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="m5-release-gate-") as name:
        workspace = _copy(Workspace.resolve(arguments.workspace), Path(name))
        result = {"benchmark": "release_gate", **_judge(workspace), **_kill(workspace, arguments)}
    print(json.dumps(result))
    wrong = [result["same_refused"], result["others_named"], result["not_named"], result["half_seen"], result["left_over"]]
    return 1 if any(wrong) else 0


def _copy(source: Workspace, root: Path) -> Workspace:
    workspace = Workspace(str(root))
    shutil.copytree(source.label_sets, workspace.label_sets)
    champion = Path(find_bundle(source, None, "student"))
    shutil.copytree(champion, workspace.bundle(champion.name))
    return workspace


def _judge(workspace: Workspace) -> dict[str, Any]:
    """The gate on bundles of which it is known how good they are."""
    champion = read_manifest(find_bundle(workspace, None, "student")).id
    first, evidence = _release(workspace, champion)
    say(f"{champion} took {first:.0f} s")
    result: dict[str, Any] = {"labels": list(evidence.labels), "seconds_first": round(first, 1)}
    _make(workspace, champion, "same", {})
    seconds, evidence = _release(workspace, "same", "candidate")
    gaps = {one.name: one.value for one in evidence.figures if "_gap" in one.name}
    result |= {"figures": len(gaps), "seconds_beside": round(seconds, 1), "same_refused": int(any(gaps.values()))}
    named: dict[str, list[str]] = {}
    for language, (letters, one_letter) in SCRIPTS.items():
        _make(workspace, champion, f"worse-{language}", _blur(workspace, champion, letters, one_letter))
        _, evidence = _release(workspace, f"worse-{language}", "candidate", expected=4)
        fallen = [one.name.rpartition("_gap")[2].lstrip("_") for one in evidence.figures if not one.holds]
        named[language] = sorted({one for one in fallen if one})
        result[f"gap_{language}"] = next(one.value for one in evidence.figures if one.name.endswith(f"_gap_{language}"))
    result["refused_naming"] = named
    result["not_named"] = sum(language not in names for language, names in named.items())
    result["others_named"] = sum(len(set(names) - {language}) for language, names in named.items())
    return result


def _release(workspace: Workspace, bundle: str, alias: str = "champion", expected: int = 0) -> tuple[float, ReleaseEvidence]:
    """Seconds, and the evidence that was written last."""
    started = time.monotonic()
    done = subprocess.run(_command(workspace, bundle, "--to", alias, "--threads", "1"), capture_output=True, text=True)
    seconds = time.monotonic() - started
    if done.returncode != expected:
        raise SystemExit(f"release of {bundle} ended with {done.returncode}, expected {expected}:\n{done.stderr[-2_000:]}")
    from m5model.files.manifests import from_json

    newest = max(Path(workspace.releases, "evidence").glob("*.json"), key=lambda file: file.stat().st_mtime_ns)
    return seconds, from_json(ReleaseEvidence, newest.read_bytes(), str(newest))


def _command(workspace: Workspace, *flags: str) -> list[str]:
    return [*M5, "release", *flags, "--workspace", workspace.root, "--tracking-uri", "none"]


def _blur(workspace: Workspace, bundle: str, letters: str, one: str) -> dict[str, bytes]:
    """The vocabulary before which all letters of a script become one."""
    described = json.loads(Path(workspace.bundle(bundle), TOKENIZER_FILE).read_text(encoding="utf-8"))
    blurred = {"type": "Replace", "pattern": {"Regex": letters}, "content": one}
    before = [described["normalizer"]] if described["normalizer"] else []
    described["normalizer"] = {"type": "Sequence", "normalizers": [*before, blurred]}
    return {TOKENIZER_FILE: json.dumps(described, ensure_ascii=False).encode()}


def _make(workspace: Workspace, source: str, name: str, changed: dict[str, bytes]) -> None:
    """A bundle that is the source but for some files."""
    folder = Path(shutil.copytree(workspace.bundle(source), workspace.bundle(name)))
    manifest = read_manifest(str(folder))
    files = {file: dict(entry) for file, entry in manifest.files.items()}
    for file, content in changed.items():
        (folder / file).write_bytes(content)
        files[file] = {"sha256": sha256_of(str(folder / file)), "bytes": len(content)}
    write_manifest(folder, replace(manifest, id=name, space_id=f"space-{name}", files=files))


def _kill(workspace: Workspace, arguments: argparse.Namespace) -> dict[str, Any]:
    """Champion → same → back, each killed until it was done so often."""
    draw, half_seen, kills = random.Random(arguments.seed), 0, {"release": 0, "rollback": 0}
    champion = str(_champion(workspace))
    _release(workspace, "same")  # all evidence is there from now on
    _finish(_command(workspace, "--rollback"))
    seconds = {"release": 6.0, "rollback": 3.0}
    while min(kills.values()) < arguments.kills:
        _write_views(workspace, champion, "same")
        for kind, command in (("release", ["same", "--to", "champion"]), ("rollback", ["--rollback"])):
            started = time.monotonic()
            job = subprocess.Popen(_command(workspace, *command), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            with contextlib.suppress(subprocess.TimeoutExpired):
                job.wait(draw.uniform(0, 1.1 * seconds[kind]))
            if job.poll() is None:
                job.send_signal(signal.SIGKILL)
                job.wait()
                kills[kind] += 1
            else:
                seconds[kind] = time.monotonic() - started
            half_seen += _look(workspace, champion)
            _finish(_command(workspace, *command))
            half_seen += _champion(workspace) != ("same" if kind == "release" else champion)
        half_seen += len({view for view in VIEWS if _rows(workspace, view) != champion})
    left = [str(path) for path in Path(workspace.releases).rglob("*") if path.name.endswith(".partial")]
    return {"kills": kills, "releases": len(list_releases(workspace)), "half_seen": half_seen, "left_over": len(left)}


def _finish(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{' '.join(command[3:])} ended with {done.returncode}:\n{done.stderr[-2_000:]}")


def _champion(workspace: Workspace) -> str | None:
    newest = newest_release(workspace)
    return newest.aliases.champion.bundle if newest is not None and newest.aliases.champion is not None else None


def _write_views(workspace: Workspace, old: str, new: str) -> None:
    """Views as the publish job leaves them at the end of a window: a version of the old space, then one of the new space."""
    shutil.rmtree(Path(workspace.root, "features"), ignore_errors=True)
    for view in VIEWS:
        for bundle in (old, new):
            source: dict[str, JsonValue] = {
                "space_id": read_manifest(workspace.bundle(bundle)).space_id,
                "listings_version": 0,
                "embeddings_version": 0,
            }
            metadata = describe_commit(PUBLISH, source, {}, {"name": view})
            rows = pa.table({"item_id": [str(number) for number in range(100)], "bundle": [bundle] * 100})
            commit = CommitProperties(custom_metadata={"userMetadata": metadata})
            write_deltalake(workspace.table(f"features/{view}"), rows, mode="overwrite", commit_properties=commit)


def _rows(workspace: Workspace, view: str) -> str:
    """The bundle that all rows of a view are of; empty where they are of several, or too few."""
    rows = DeltaTable(workspace.table(f"features/{view}")).to_pyarrow_table()
    bundles = set(rows["bundle"].to_pylist())
    return str(bundles.pop()) if len(bundles) == 1 and rows.num_rows == 100 else ""


def _look(workspace: Workspace, champion: str) -> int:
    """Views that are not whole, and releases that cannot be read."""
    return sum(_rows(workspace, view) not in ("same", champion) for view in VIEWS) + (_champion(workspace) is None)


if __name__ == "__main__":
    sys.exit(main())
