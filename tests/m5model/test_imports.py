import subprocess
import sys

import pytest


def _loaded(statement: str, *modules: str) -> str:
    check = f"import sys\n{statement}\nprint(sorted({set(modules)!r} & set(sys.modules)))"
    return subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True).stdout.strip()


def test_the_toolkit_and_its_command_load_no_torch_and_no_spark() -> None:
    modules = ("cli", "encoders.presets", "releases.tracking", "runtime.rendering", "bundles.find")
    statement = "import m5model, " + ", ".join(f"m5model.{module}" for module in modules)
    heavy = ("torch", "transformers", "datasets", "mlflow", "pyspark", "sentence_transformers", "onnx")
    assert _loaded(statement, *heavy) == "[]"


def test_training_and_distillation_load_no_spark() -> None:
    statement = "import jobs.train_model, jobs.distill_student, m5model.distillation.recipe"
    assert _loaded(statement, "pyspark", "delta", "torch") == "['torch']"


def test_publishing_loads_what_scores_pairs_only_where_an_experiment_is_named() -> None:
    statement = "import jobs.publish_features; from spark.features.registry import load_recipes; load_recipes()"
    assert _loaded(statement, "lightgbm", "sklearn", "scipy", "rapidfuzz", "torch") == "[]"


def test_what_scores_and_maps_a_catalogue_on_executors_loads_no_torch() -> None:
    modules = (
        "pair_scorer",
        "index_map",
        "records",
        "towers",
        "strategies.frozen",
        "strategies.projection",
        "strategies.fusion",
    )
    statement = "import " + ", ".join(f"m5model.partners.{module}" for module in modules)
    assert _loaded(statement, "torch", "transformers", "datasets", "mlflow") == "[]"


HEAVY = ("numpy", "pyarrow", "onnxruntime", "tokenizers", "boto3", "pandas", "torch", "transformers", "mlflow", "pyspark")


HELP = """
import contextlib, io, m5model.cli
with contextlib.suppress(SystemExit), contextlib.redirect_stdout(io.StringIO()):
    m5model.cli.main({arguments!r})
"""


def test_importing_m5model_and_asking_m5_for_help_load_nothing_heavy() -> None:
    assert _loaded("import m5model; dir(m5model); m5model.__version__", *HEAVY) == "[]"
    for arguments in (["--help"], ["encode", "--help"], ["sets", "diff", "--help"]):
        assert _loaded(HELP.format(arguments=arguments), *HEAVY) == "[]"


def test_the_toolkits_functions_are_there_when_they_are_asked_for_and_nothing_else_is() -> None:
    asked = "import m5model; m5model.load, m5model.similarity, m5model.distill, m5model.export"
    assert _loaded(asked, *HEAVY) == "['numpy', 'onnxruntime', 'pyarrow', 'tokenizers']"
    import m5model

    assert "load" in dir(m5model)
    with pytest.raises(AttributeError, match="no attribute 'lode'"):
        m5model.lode  # noqa: B018
