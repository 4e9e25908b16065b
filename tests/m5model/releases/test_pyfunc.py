"""A bundle as an MLflow model."""

import shutil
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
import pytest

import m5model
from m5model.releases.pyfunc import save_pyfunc
from schemas.errors import ConfigurationError, DamagedFileError

TEXTS = ["red cotton shirt", "青 革 靴", "steel bottle"]


@pytest.fixture(scope="module")
def saved(trained, tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("pyfunc") / "model"
    save_pyfunc(str(trained.student_folder), str(path))
    return str(path)


def test_every_kind_of_input_gives_the_toolkits_bytes(saved: str, trained) -> None:
    model = mlflow.pyfunc.load_model(saved)
    expected = m5model.load(str(trained.student_folder)).encode(TEXTS)
    for texts in (TEXTS, np.array(TEXTS), pd.Series(TEXTS), pd.DataFrame({"text": TEXTS}), pd.DataFrame({"query": TEXTS})):
        assert model.predict(texts).tobytes() == expected.tobytes()
    assert model.metadata.metadata == {"m5_bundle": trained.student.id, "m5_space_id": trained.student.space_id}


def test_the_model_is_code_and_the_bundles_files_and_no_pickle(saved: str) -> None:
    files = {path.name for path in Path(saved).rglob("*") if path.is_file()}
    assert {"MLmodel", "pyfunc_code.py", "manifest.json", "model_int8_engine.onnx"} <= files
    assert not [name for name in files if name.endswith((".pkl", ".pickle"))]


def test_a_damaged_bundle_is_not_opened(saved: str, tmp_path: Path) -> None:
    copy = shutil.copytree(saved, tmp_path / "copy")
    next(copy.rglob("tokenizer.json")).write_text("{}")
    with pytest.raises(DamagedFileError, match="tokenizer.json has SHA-256"):
        mlflow.pyfunc.load_model(str(copy))


def test_a_bundle_without_the_graph_is_refused_before_anything_is_written(trained, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="has no int8 ONNX graph"):
        save_pyfunc(str(trained.teacher_folder), str(tmp_path / "model"))
    assert not (tmp_path / "model").exists()
