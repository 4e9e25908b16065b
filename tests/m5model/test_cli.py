import argparse
import io
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

import m5model
from m5model.bundles.find import list_bundles
from m5model.bundles.geometry import preset_of
from m5model.bundles.sources import open_source
from m5model.cli import _parser, main
from m5model.data.set_versions import find_training_set
from m5model.data.training_sets import open_training_set
from m5model.distillation.recipe import student
from m5model.distillation.student import distill_student
from m5model.encoders.huggingface import read_geometry
from m5model.export.teacher import train_teacher
from m5model.training.recipes import from_weights
from schemas.workspace import Workspace

TEXTS = ["red cotton shirt", "青 革 靴"]


def test_inspect_prints_what_a_bundle_is_and_what_it_passed(trained, capsys) -> None:
    assert main(["inspect", str(trained.student_folder)]) == 0
    printed = capsys.readouterr().out
    for expected in (
        trained.student.id,
        trained.student.space_id,
        trained.teacher.id,
        "small/v1",
        "(at least 0.99), on 11 held-out texts",
        "onnx/model_int8.onnx",
        "onnx/model_int8_engine.onnx",
        "engine_vectors_differing",
    ):
        assert expected in printed


def test_inspect_as_json_is_the_manifest_and_ids_are_looked_up_in_the_workspace(trained, capsys) -> None:
    assert main(["inspect", trained.teacher.id, "--workspace", trained.workspace.root, "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert (printed["id"], printed["kind"]) == (trained.teacher.id, "teacher")


def test_inspect_of_a_damaged_bundle_ends_with_3_and_names_the_file(trained, tmp_path: Path, capsys) -> None:
    copy = shutil.copytree(trained.student_folder, tmp_path / "copy")
    (copy / "tokenizer.json").write_text("{}")
    assert main(["inspect", str(copy)]) == 3
    assert "tokenizer.json has SHA-256" in capsys.readouterr().err


def test_inspect_of_nothing_ends_with_2(tmp_path: Path, capsys) -> None:
    assert main(["inspect", "nothing", "--workspace", str(tmp_path)]) == 2
    assert "no bundle 'nothing'" in capsys.readouterr().err


def test_encode_writes_a_json_line_per_text(trained, capsys) -> None:
    assert main(["encode", str(trained.student_folder), *TEXTS]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["text"] for line in lines] == TEXTS
    expected = m5model.load(str(trained.student_folder)).encode(TEXTS)
    assert np.asarray([line["vector"] for line in lines], np.float32).tobytes() == expected.tobytes()


def test_encode_reads_lines_and_writes_an_array(trained, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO("\n".join(TEXTS).encode())))
    out = tmp_path / "vectors.npy"
    assert main(["encode", str(trained.student_folder), "--precision", "fp32", "--out", str(out)]) == 0
    expected = m5model.load(str(trained.student_folder), precision="fp32").encode(TEXTS)
    assert np.load(out).tobytes() == expected.tobytes()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        *((["a", f"--threads={text}"], f"--threads is '{text}'") for text in ("0", "-1", "two", "2.0", "1000000", "9" * 30)),
        (["a", "--out", "/nowhere/at/all.npy"], "cannot write"),
        ([""], "text is empty"),
    ],
)
def test_encode_says_what_is_wrong(trained, capsys, arguments: list[str], message: str) -> None:
    assert main(["encode", str(trained.student_folder), *arguments]) in (2, 3)
    errors = capsys.readouterr().err
    assert message in errors and "What to do: " in errors


def test_every_number_that_a_command_takes_is_checked_by_schemas_flags() -> None:
    parsers = [_parser()]
    types = []
    while parsers:
        for action in parsers.pop()._actions:
            types.append(action.type)
            if isinstance(action, argparse._SubParsersAction):
                parsers += action.choices.values()
    assert {kind.__module__ for kind in types if kind is not None} == {"schemas.flags"}


def test_a_teacher_has_no_graph_to_encode_with(trained, capsys) -> None:
    assert main(["encode", str(trained.teacher_folder), "a"]) == 2
    assert "distil it into a student" in capsys.readouterr().err


def test_vocabulary_trim_makes_a_bundle_and_prints_what_it_costs_each_language(
    trained, write_training_set, tmp_path: Path, capsys
) -> None:
    write_training_set(Workspace(str(tmp_path)))
    arguments = ["--init", str(trained.teacher_folder), "--size", "300", "--workspace", str(tmp_path)]
    assert main(["vocabulary", "trim", *arguments]) == 0
    printed = capsys.readouterr().out
    made = list_bundles(Workspace(str(tmp_path)))[0]
    assert printed.startswith(f"{made.id}: 300 tokens")
    assert [line.split()[0] for line in printed.splitlines()[2:]] == ["de", "en", "ja"]
    assert (made.vocabulary_size, made.layers, made.origin.name) == (300, 2, trained.teacher.id)
    assert main(["vocabulary", "trim", *arguments[:2], "--size", "0", "--workspace", str(tmp_path)]) == 2


def test_a_prefix_stands_before_every_text_in_every_runtime(trained, write_training_set, tmp_path: Path) -> None:
    """The rendering's prefix is part of the space; sentence-transformers puts it there, too."""
    from sentence_transformers import SentenceTransformer

    workspace = Workspace(str(tmp_path / "workspace"))
    write_training_set(workspace)
    begun = tmp_path / "begun"
    shutil.copytree(trained.teacher_folder, begun)
    (begun / "manifest.json").unlink()
    (begun / "origin.json").write_text(json.dumps({"name": "x", "licence": "MIT", "sha256": "0" * 64, "prefix": "query: "}))
    source = open_source(workspace, str(begun))
    training_set = open_training_set(find_training_set(workspace, None), source.rendering)
    teacher = train_teacher(workspace, training_set, from_weights(read_geometry(begun), source.origin), source=source)
    path = workspace.bundle(teacher.id)
    made = distill_student(
        workspace, training_set, (path,), student(preset_of(teacher), (teacher,), start_from=teacher, steps=0), start_from=path
    )
    ours = m5model.load(workspace.bundle(made.id), precision="fp32")
    plain = m5model.load(str(trained.teacher_folder.parent / trained.student.id), precision="fp32")
    assert np.abs(ours.encode(TEXTS) - SentenceTransformer(workspace.bundle(made.id), device="cpu").encode(TEXTS)).max() <= 1e-4
    assert (made.rendering["prefix"], made.origin.prefix, made.parent) == ("query: ", "query: ", teacher.id)
    assert np.abs(ours.encode(TEXTS) - plain.encode(TEXTS)).max() > 1e-3
