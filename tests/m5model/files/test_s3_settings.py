"""One reading of the AWS variables, whoever goes to S3. Nothing here needs a server."""

import ast
from pathlib import Path

import pytest

from m5model.files import s3
from schemas.errors import ConfigurationError

ROOT = Path(__file__).parents[3]
VARIABLES = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_REGION", "AWS_DEFAULT_REGION")


@pytest.fixture(autouse=True)
def no_aws_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize(
    ("environment", "endpoint", "region"),
    [
        ({}, None, "us-east-1"),
        ({"AWS_DEFAULT_REGION": "eu-west-1"}, None, "eu-west-1"),
        ({"AWS_DEFAULT_REGION": "eu-west-1", "AWS_REGION": "eu-north-1"}, None, "eu-north-1"),
        ({"AWS_ENDPOINT_URL": "http://a:1/"}, "http://a:1", "us-east-1"),
        ({"AWS_ENDPOINT_URL": "http://a:1", "AWS_ENDPOINT_URL_S3": "https://b"}, "https://b", "us-east-1"),
        ({"AWS_ENDPOINT_URL": "", "AWS_REGION": ""}, None, "us-east-1"),
    ],
)
def test_the_special_variable_wins_over_the_general_one(environment: dict, endpoint: str | None, region: str) -> None:
    settings = s3.read_settings(environment)
    assert (settings.endpoint, settings.region, settings.path_style) == (endpoint, region, endpoint is not None)


@pytest.mark.parametrize("endpoint", ["localhost:9000", "a", "ftp://a", "http://", "http://a/prefix"])
def test_an_endpoint_that_is_no_server_is_refused_by_its_variable(endpoint: str) -> None:
    with pytest.raises(ConfigurationError, match="AWS_ENDPOINT_URL_S3 is .*expected http"):
        s3.read_settings({"AWS_ENDPOINT_URL_S3": endpoint})


def test_spark_delta_rs_and_boto3_are_given_the_same_server_and_region(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://server:7070")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    spark, delta = s3.spark_settings(), s3.delta_options()
    assert spark["spark.hadoop.fs.s3a.endpoint"] == delta["AWS_ENDPOINT_URL"] == "http://server:7070"
    assert spark["spark.hadoop.fs.s3a.endpoint.region"] == delta["AWS_REGION"] == "eu-west-1"
    assert spark["spark.hadoop.fs.s3a.path.style.access"] == "true"
    assert delta["AWS_VIRTUAL_HOSTED_STYLE_REQUEST"] == "false"
    assert (spark["spark.hadoop.fs.s3a.connection.ssl.enabled"], delta["AWS_ALLOW_HTTP"]) == ("false", "true")
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "https://server")
    assert (s3.spark_settings()["spark.hadoop.fs.s3a.connection.ssl.enabled"], s3.delta_options()["AWS_ALLOW_HTTP"]) == (
        "true",
        "false",
    )


def test_amazon_needs_no_endpoint_and_is_asked_by_host_name() -> None:
    assert set(s3.spark_settings()) == {"spark.hadoop.fs.s3a.endpoint.region"}
    assert "AWS_ENDPOINT_URL" not in s3.delta_options()


def test_no_other_module_of_the_project_names_these_variables() -> None:
    files = [file for room in ("schemas", "m5model", "spark", "jobs") for file in (ROOT / room).rglob("*.py")]
    texts = {file.relative_to(ROOT).as_posix(): file.read_text(encoding="utf-8") for file in files}
    named = {
        name
        for name, text in texts.items()
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Constant) and node.value in VARIABLES
    }
    assert named == {"m5model/files/s3.py"}
