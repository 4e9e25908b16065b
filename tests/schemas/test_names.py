"""Names that become paths: one part each, and a manifest's files stay below its folder."""

import json
from dataclasses import dataclass, field

import pytest

from m5model.files.manifests import from_json
from schemas.checks import MAX_NAME_BYTES, is_name, require_name, require_relative_file
from schemas.errors import ConfigurationError, DamagedFileError, ExitCode
from schemas.workspace import Workspace

WORKSPACE = Workspace("/w")
BAD_NAMES = [
    "", ".", "..", "a/b", "../bundles/x", "/etc", "a\\b", "-rf", ".hidden", "a\nb", "a\0b", "a\u202eb", "a\ud800", " a",
    "a\u2028b", "ä" * MAX_NAME_BYTES,
]  # fmt: skip
GOOD_NAMES = ["default", "2026-11", "v12-1a2b3c4d", "größe", "商品", "a b", "a..b", "x" * MAX_NAME_BYTES, "50%", "a[1]#?"]


@pytest.mark.parametrize("name", BAD_NAMES, ids=ascii)
def test_a_name_that_is_not_one_part_of_a_path_is_refused_with_what_it_is_and_what_to_do(name: str) -> None:
    assert not is_name(name)
    with pytest.raises(
        ConfigurationError, match="--name is .*expected one part of a path.*\n.*What to do: give a name"
    ) as error:
        require_name("--name", name)
    assert error.value.exit_code == ExitCode.BAD_CONFIGURATION


@pytest.mark.parametrize("name", GOOD_NAMES, ids=ascii)
def test_letters_of_any_language_and_signs_that_no_path_gives_a_meaning_are_allowed(name: str) -> None:
    assert require_name("--name", name) == name


@pytest.mark.parametrize(
    "path",
    [
        lambda name: WORKSPACE.training_set(name, "v1"),
        lambda name: WORKSPACE.training_set("base", name),
        lambda name: WORKSPACE.label_set(name, "v1"),
        lambda name: WORKSPACE.label_set("pairs", name),
        WORKSPACE.bundle,
        WORKSPACE.report,
        WORKSPACE.page,
        WORKSPACE.pin,
        WORKSPACE.leases,
        lambda name: WORKSPACE.table(f"features/{name}"),
    ],
    ids=["training set", "version", "label set", "version of labels", "bundle", "report", "page", "pin", "lease", "view"],
)
def test_no_method_of_the_workspace_makes_a_path_of_a_name_that_leads_elsewhere(path) -> None:
    assert path("name").startswith("/w/")
    for name in ("..", "../x", "", "."):
        with pytest.raises(ConfigurationError):
            path(name)


@dataclass(frozen=True, kw_only=True)
class Manifest:
    name: str
    files: dict[str, str]
    note: str = ""
    counts: dict[str, int] = field(default_factory=dict)


@pytest.mark.parametrize(
    "name", ["model.onnx", "onnx/model.onnx", "data/part-0.c000.snappy.parquet", ".gitattributes", "a/größe-商品"]
)
def test_a_manifest_may_list_files_of_its_own_folder(name: str) -> None:
    assert require_relative_file("m", name) == name
    assert from_json(Manifest, json.dumps({"name": "n", "files": {name: "hash"}}), "m") == Manifest(
        name="n", files={name: "hash"}
    )


@pytest.mark.parametrize(
    "name",
    [
        "",
        "/etc/passwd",
        "../x",
        "a/../../x",
        "a/..",
        "./a",
        "a//b",
        "C:\\x",
        "C:x",
        "a\\..\\b",
        "file:///x",
        "s3a://b/x",
        "a\0b",
        "a/",
    ],
    ids=ascii,
)
def test_a_manifest_that_lists_a_file_outside_its_folder_is_damaged(name: str) -> None:
    with pytest.raises(DamagedFileError, match="m lists the file .*expected a path below its own folder") as error:
        from_json(Manifest, json.dumps({"name": "n", "files": {name: "hash"}}), "m")
    assert error.value.exit_code == ExitCode.BAD_DATA


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"{", "m is not JSON"),
        (b"\xff\xfe", "m is not JSON"),
        (b"[]", "m holds a list, expected an object"),
        (b'{"name": "n"}', "m is not a Manifest: Object missing required field `files`"),
        (b'{"name": "n", "files": ["a"]}', "m is not a Manifest: Expected `object`, got `array`"),
    ],
    ids=["cut", "not UTF-8", "another kind", "a field gone", "files are a list"],
)
def test_a_manifest_that_cannot_be_understood_is_damaged(text: bytes, message: str) -> None:
    with pytest.raises(DamagedFileError, match=message):
        from_json(Manifest, text, "m")


@pytest.mark.parametrize("root", ["~nobody-of-that-name/w", "~nobody-of-that-name"])
def test_a_home_folder_that_there_is_not_is_refused_and_no_folder_of_that_name_is_made(root: str) -> None:
    with pytest.raises(ConfigurationError, match="no such home folder"):
        Workspace.resolve(root, {})
