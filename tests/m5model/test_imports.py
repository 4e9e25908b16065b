import subprocess
import sys


def _loaded(statement: str, *modules: str) -> str:
    check = f"import sys; {statement}; print(sorted({set(modules)!r} & set(sys.modules)))"
    return subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True).stdout.strip()


def test_the_toolkit_and_its_command_load_no_torch_and_no_spark() -> None:
    modules = ("cli", "encoders.presets", "releases.tracking", "runtime.rendering", "bundles.find")
    statement = "import m5model, " + ", ".join(f"m5model.{module}" for module in modules)
    heavy = ("torch", "transformers", "datasets", "mlflow", "pyspark", "sentence_transformers", "onnx")
    assert _loaded(statement, *heavy) == "[]"


def test_training_and_distillation_load_no_spark() -> None:
    statement = "import jobs.train_model, jobs.distill_student, m5model.distillation.recipe"
    assert _loaded(statement, "pyspark", "delta", "torch") == "['torch']"
