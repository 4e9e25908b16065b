"""The image of the Dockerfile, built and started where docker works; and what can be known of it without docker."""

import re
import shutil
import subprocess
import sys
import time
import tomllib
import uuid
from importlib.metadata import packages_distributions, requires
from pathlib import Path

import httpx
import numpy as np
import pytest
from packaging.requirements import Requirement

import m5model

ROOT = Path(__file__).parents[3]
BUILD_S = 900
START_S = 60
# Imports all that the service runs while every other package is hidden, as it is in the image.
HIDDEN = """
import sys
class Hide:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in HIDE:
            raise ModuleNotFoundError(f"no module named {name!r}", name=name)
HIDE = set(sys.argv[2].split(","))
sys.meta_path.insert(0, Hide())
import m5model.commands.serve, m5model.serving.processes
from m5model.serving.served_model import Reference, open_model
print(open_model(Reference(workspace=None, bundle=sys.argv[1]), 0).encoder.space_id)
"""


def _why_not() -> str:
    """Why docker cannot be used here; empty where it can."""
    if shutil.which("docker") is None:
        return "docker is not installed"
    answer = subprocess.run(["docker", "info"], capture_output=True, text=True, timeout=START_S, check=False)
    return "" if answer.returncode == 0 else f"docker does not work: {answer.stderr.strip().splitlines()[-1]}"


def _needed(name: str, extras: frozenset[str], seen: set[tuple[str, frozenset[str]]]) -> set[str]:
    """Names of the distributions that ``name`` with ``extras`` installs, itself among them."""
    if (name, extras) in seen:
        return set()
    seen.add((name, extras))
    found = {_normal(name)}
    for text in requires(name) or ():
        one = Requirement(text)
        if one.marker is None or any(one.marker.evaluate({"extra": extra}) for extra in extras or {""}):
            found |= _needed(one.name, frozenset(one.extras), seen)
    return found


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def test_the_service_needs_nothing_that_its_extra_does_not_install(trained) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    asked = [Requirement(text) for text in [*project["dependencies"], *project["optional-dependencies"]["serve"]]]
    seen: set[tuple[str, frozenset[str]]] = set()
    wanted = {"m5"} | {name for one in asked for name in _needed(one.name, frozenset(one.extras), seen)}
    others = [name for name, found in packages_distributions().items() if not wanted & {_normal(one) for one in found}]
    assert {"torch", "pandas", "pyspark"} <= set(others)
    command = [sys.executable, "-c", HIDDEN, str(trained.student_folder), ",".join(others)]
    answer = subprocess.run(command, capture_output=True, text=True, check=False)
    assert answer.stdout.strip() == trained.student.space_id, answer.stderr


@pytest.fixture(scope="module")
def image() -> str:
    if reason := _why_not():
        pytest.skip(reason)
    name = "m5-serve-test"
    subprocess.run(["docker", "build", "--quiet", "--tag", name, str(ROOT)], check=True, timeout=BUILD_S)
    return name


def test_the_image_answers_as_another_user_on_a_read_only_file_system(image: str, trained) -> None:
    name = f"m5-serve-{uuid.uuid4().hex[:8]}"
    run = ["docker", "run", "--rm", "--detach", "--name", name, "--read-only", "--tmpfs", "/tmp", "--cap-drop", "ALL"]
    run += [
        "--publish",
        "127.0.0.1:0:8321",
        "--volume",
        f"{trained.student_folder}:/bundle:ro",
        image,
        "/bundle",
        "--processes=2",
    ]
    subprocess.run(run, check=True, capture_output=True, timeout=START_S)
    try:
        port = subprocess.run(["docker", "port", name, "8321"], check=True, capture_output=True, text=True).stdout.strip()
        url = f"http://{port.splitlines()[0]}"
        end = time.monotonic() + START_S
        while True:
            try:
                assert httpx.get(f"{url}/ready").status_code == 200
                break
            except httpx.TransportError:
                assert time.monotonic() < end
                time.sleep(0.2)
        answer = httpx.post(f"{url}/v1/queries:encode", json={"texts": ["red cotton shirt"]}, timeout=START_S)
        user = subprocess.run(["docker", "exec", name, "id", "-u"], check=True, capture_output=True, text=True).stdout
    finally:
        subprocess.run(["docker", "stop", name], check=False, capture_output=True)
    expected = m5model.load(str(trained.student_folder)).encode(["red cotton shirt"])
    assert np.asarray(answer.json()["vectors"], np.float32).tobytes() == expected.tobytes()
    assert user.strip() != "0"
