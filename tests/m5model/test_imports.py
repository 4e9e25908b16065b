import subprocess
import sys


def _loaded(statement: str, *modules: str) -> str:
    check = f"import sys; {statement}; print(sorted({set(modules)!r} & set(sys.modules)))"
    return subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True).stdout.strip()


def test_the_toolkit_and_its_command_load_no_torch_and_no_spark() -> None:
    statement = "import m5model, m5model.cli, m5model.presets, m5model.tracking, m5model.rendering, m5model.bundles"
    heavy = ("torch", "transformers", "datasets", "mlflow", "pyspark", "sentence_transformers", "onnx")
    assert _loaded(statement, *heavy) == "[]"


def test_training_and_distillation_load_no_spark() -> None:
    statement = "import jobs.train_model, jobs.distill_student, m5model.distillation.student"
    assert _loaded(statement, "pyspark", "delta", "torch") == "['torch']"
