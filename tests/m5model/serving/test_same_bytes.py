"""One text has the same bytes from every door: the service, m5model.load, m5 encode, pyfunc."""

import random
from pathlib import Path

import mlflow
import numpy as np

import m5model
from m5model.cli import main
from m5model.releases.pyfunc import save_pyfunc

WORDS = ["red", "cotton", "küche", "messer", "赤い", "シャツ", "steel", "bottle"]


def test_the_service_the_toolkit_the_command_and_pyfunc_give_the_same_bytes(service, trained, tmp_path: Path) -> None:
    draw = random.Random(9)
    texts = [" ".join(draw.choices(WORDS, k=draw.randint(1, 150))) for _ in range(300)]
    bundle = str(trained.student_folder)
    expected = m5model.load(bundle).encode(texts).tobytes()
    answered = service.post("/v1/queries:encode", {"texts": texts}).json()["vectors"]
    assert np.asarray(answered, np.float32).tobytes() == expected
    assert main(["encode", bundle, *texts, "--out", str(tmp_path / "vectors.npy")]) == 0
    assert np.load(tmp_path / "vectors.npy").tobytes() == expected
    save_pyfunc(bundle, str(tmp_path / "model"))
    assert mlflow.pyfunc.load_model(str(tmp_path / "model")).predict(texts).tobytes() == expected
