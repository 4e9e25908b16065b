"""What Spark, Delta and the file system say went wrong, as errors of M5: with a class, advice and an exit code.

What fails on an executor reaches the driver as text alone, inside exceptions of many classes. So the text is what is read.
"""

import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

from schemas.errors import BadDataError, ConfigurationError, M5Error, StorageFullError, find_error

MAX_CHARACTERS = 300  # of Spark's own words that are shown
RUN_AGAIN = "run the same command again: what is done is not done twice"


@dataclass(frozen=True, kw_only=True)
class Failure:
    """A kind of failure: how to know it, and what to say."""

    pattern: str  # of the text; a group ``path`` is the file that it names
    kind: type[M5Error]
    message: str  # {line}: the line that was found, {path}: the file, {cause}: Java's innermost cause
    next_step: str

    def find(self, text: str) -> M5Error | None:
        found = re.search(self.pattern, text, flags=re.MULTILINE)
        if found is None:
            return None
        words = {
            "line": _line_of(found),
            "path": _readable(found.groupdict().get("path") or ""),
            "cause": _innermost_cause(text),
        }
        return self.kind(self.message.format(**words), next_step=self.next_step)


# In this order: a full disk or a silent storage also looks like a file that cannot be read.
FAILURES = (
    Failure(
        pattern=r"No space left on device|Disk quota exceeded",
        kind=StorageFullError,
        message="there is no space left to write to: {line}",
        next_step=f"free space in the workspace and for Spark's own files (spark.local.dir, else /tmp); then {RUN_AGAIN}",
    ),
    Failure(
        pattern=r"Unable to (locate|load) (\w+ )?credentials|No AWSCredentials|InvalidAccessKeyId|SignatureDoesNotMatch",
        kind=ConfigurationError,
        message="S3 does not accept this user: {line}",
        next_step="set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, and AWS_ENDPOINT_URL for a server of your own",
    ),
    Failure(
        pattern=r"NoSuchBucket|NO_SUCH_BUCKET|UnknownStoreException",
        kind=ConfigurationError,
        message="there is no such bucket: {line}",
        next_step="make the bucket, or correct its name",
    ),
    Failure(
        pattern=r"\(Permission denied\)|ACCESS_DENIED|\.AccessDeniedException: |AccessControlException: |\[Errno 13\] |"
        r"os error 13\)|Mkdirs failed to create ",
        kind=ConfigurationError,
        message="permission denied: {line}",
        next_step="let this user read the input and write to the workspace",
    ),
    Failure(
        pattern=r"java\.lang\.OutOfMemoryError",
        kind=M5Error,
        message="Spark ran out of memory: {line}",
        next_step=f"give it more (spark-submit --driver-memory 8g; on a cluster --executor-memory); then {RUN_AGAIN}",
    ),
    Failure(
        pattern=r"Answer from Java side is empty|trying to connect to the Java server",
        kind=M5Error,
        message="Spark's JVM ended without a word, most likely because the machine had no memory left",
        next_step=f"give it less (spark-submit --driver-memory 2g) or take a larger machine; then {RUN_AGAIN}",
    ),
    Failure(
        pattern=r"Python worker exited unexpectedly",
        kind=M5Error,
        message="a Python worker died without a word, most likely because the machine had no memory left",
        next_step=f"use fewer cores (spark-submit --master 'local[2,4]') or a larger machine; then {RUN_AGAIN}",
    ),
    Failure(
        pattern=r"(UnknownHost|NoRouteToHost|Connect|SocketTimeout|ConnectTimeout|AWSClientIO|AWSServiceIO|SdkClient)Exception|"
        r"NETWORK_CONNECTION|Could not connect to the endpoint URL",
        kind=M5Error,
        message="the storage does not answer: {line}",
        next_step=f"check AWS_ENDPOINT_URL and the network; then {RUN_AGAIN}",
    ),
    Failure(
        pattern=r"\[PATH_NOT_FOUND\] Path does not exist: (?P<path>.+?)\. SQLSTATE",
        kind=ConfigurationError,
        message="there is no {path}",
        next_step="correct the path",
    ),
    Failure(
        pattern=r"\[FAILED_READ_FILE\.FILE_NOT_EXIST\] [\w ]+ file (?P<path>.+?)\. File does not exist",
        kind=BadDataError,
        message="{path} is gone",
        next_step="restore it, or make the table or the feed that it belongs to anew",
    ),
    Failure(
        pattern=r"\[FAILED_READ_FILE\.\w+\] Encountered error while reading file "
        r"(?P<path>.+?)\.(?=  ?SQLSTATE|\s*$| Could not read footer| Data type mismatch)",
        kind=BadDataError,
        message="{path} cannot be read: {cause}",
        next_step="restore the file, or write it anew where it comes from",
    ),
    Failure(
        pattern=r"\[DELTA_(LOG_FILE_NOT_FOUND\w*|TRUNCATED_TRANSACTION_LOG|STATE_RECOVER_ERROR|VERSIONS_NOT_CONTIGUOUS)\]",
        kind=BadDataError,
        message="the log of a Delta table is damaged: {line}",
        next_step="restore the table's folder _delta_log from a backup",
    ),
    Failure(
        pattern=r"\[JAVA_GATEWAY_EXITED\]",
        kind=ConfigurationError,
        message="Java did not start",
        next_step="read what it printed above; check JAVA_HOME, SPARK_SUBMIT_OPTS and the memory that is free",
    ),
)


def explain(error: Exception) -> M5Error | None:
    """The error that a person can act on; None for a defect of M5, whose stack trace is wanted."""
    if isinstance(error, M5Error):
        return error
    text = str(error)
    return find_error(text) or next(filter(None, (failure.find(text) for failure in FAILURES)), None)


def _line_of(found: re.Match[str]) -> str:
    start, end = found.string.rfind("\n", 0, found.start()) + 1, found.string.find("\n", found.end())
    return found.string[start : len(found.string) if end < 0 else end].strip()[:MAX_CHARACTERS]


def _innermost_cause(text: str) -> str:
    causes: list[str] = re.findall(r"^Caused by: (.+)$", text, flags=re.MULTILINE)
    return (causes[-1] if causes else text.partition("\n")[0])[:MAX_CHARACTERS]


def _readable(uri: str) -> str:
    """Spark names a local file as a URI, encoded or not."""
    path = re.sub(r"^file:/+", "/", uri)
    return unquote(path) if not Path(path).exists() and Path(unquote(path)).exists() else path
