"""S3 as the environment describes it: the only place that reads AWS variables other than credentials.

    AWS_ENDPOINT_URL_S3, else AWS_ENDPOINT_URL     an S3-compatible server, http(s)://HOST[:PORT]; else Amazon's own
    AWS_REGION, else AWS_DEFAULT_REGION            us-east-1 where neither is set

Servers with an endpoint of their own are asked by path (HOST/BUCKET/KEY), Amazon by host name (BUCKET.HOST/KEY). The libraries
read credentials themselves, each in the usual way of AWS.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

import pyarrow.fs as pafs

from schemas.errors import ConfigurationError

DEFAULT_REGION = "us-east-1"
SCHEMES = ("s3", "s3a")
# What S3 servers answer to a conditional PUT where the key is taken.
_TAKEN = ("PreconditionFailed", "412", "ConditionalRequestConflict", "409")


@dataclass(frozen=True, kw_only=True)
class S3Settings:
    """Says how to reach S3."""

    endpoint: str | None  # URL of a server; None is Amazon's own
    region: str

    @property
    def path_style(self) -> bool:
        return self.endpoint is not None

    @property
    def secure(self) -> bool:
        return not (self.endpoint or "").startswith("http://")


def read_settings(environment: Mapping[str, str] = os.environ) -> S3Settings:
    """Raises ConfigurationError where the endpoint is no URL of a server."""
    name = "AWS_ENDPOINT_URL_S3" if environment.get("AWS_ENDPOINT_URL_S3") else "AWS_ENDPOINT_URL"
    endpoint = environment.get(name) or None
    if endpoint is not None:
        parts = urlsplit(endpoint)
        if parts.scheme not in ("http", "https") or not parts.netloc or parts.path not in ("", "/"):
            raise ConfigurationError(
                f"{name} is {endpoint!r}, expected http(s)://HOST[:PORT]",
                next_step=f"set {name} so, or unset it for Amazon's S3",
            )
        endpoint = endpoint.rstrip("/")
    return S3Settings(
        endpoint=endpoint,
        region=environment.get("AWS_REGION") or environment.get("AWS_DEFAULT_REGION") or DEFAULT_REGION,
    )


def open_s3() -> pafs.S3FileSystem:
    """Arrow's S3."""
    settings = read_settings()
    if settings.endpoint is None:
        return pafs.S3FileSystem(region=settings.region)
    parts = urlsplit(settings.endpoint)
    return pafs.S3FileSystem(endpoint_override=parts.netloc, scheme=parts.scheme, region=settings.region)


def spark_settings() -> dict[str, str]:
    """Hadoop's S3A."""
    settings = read_settings()
    chosen = {"spark.hadoop.fs.s3a.endpoint.region": settings.region}
    if settings.endpoint is not None:
        chosen |= {
            "spark.hadoop.fs.s3a.endpoint": settings.endpoint,
            "spark.hadoop.fs.s3a.path.style.access": str(settings.path_style).lower(),
            "spark.hadoop.fs.s3a.connection.ssl.enabled": str(settings.secure).lower(),
        }
    return chosen


def delta_options() -> dict[str, str]:
    """delta-rs: its own names of the same things, and commits by conditional PUT."""
    settings = read_settings()
    options = {
        "AWS_REGION": settings.region,
        "AWS_ALLOW_HTTP": str(not settings.secure).lower(),
        "AWS_CONDITIONAL_PUT": "etag",
    }
    if settings.endpoint is not None:
        virtual = str(not settings.path_style).lower()
        options |= {"AWS_ENDPOINT_URL": settings.endpoint, "AWS_VIRTUAL_HOSTED_STYLE_REQUEST": virtual}
    return options


def put_if_absent(path: str, data: bytes) -> bool:
    """A conditional PUT: create the object only if there is none. False where there is one; OSError for other refusals."""
    import boto3
    from botocore.config import Config
    from botocore.exceptions import BotoCoreError, ClientError

    settings = read_settings()
    style = Config(s3={"addressing_style": "path" if settings.path_style else "auto"})
    parts = urlsplit(path)
    try:
        client = boto3.client("s3", region_name=settings.region, endpoint_url=settings.endpoint, config=style)
        client.put_object(Bucket=parts.netloc, Key=parts.path.lstrip("/"), Body=data, IfNoneMatch="*")
    except ClientError as error:
        if error.response["Error"]["Code"] in _TAKEN:
            return False
        raise OSError(f"cannot write {path}: {error}") from error
    except BotoCoreError as error:
        raise OSError(f"cannot write {path}: {error}") from error
    return True
