"""m5 encode BUNDLE [TEXT...]: vectors of texts, or of the lines of standard input, as JSON Lines or as a .npy file."""

import argparse
import json
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from m5model.commands._bundle import add_bundle, add_space, find_bundle_path, find_space
from schemas.errors import BadDataError, ConfigurationError, explain_os_error
from schemas.flags import MAX_THREADS, whole_number

if TYPE_CHECKING:
    import numpy as np

SUMMARY = "turn texts into unit vectors"

BYTE_ORDER_MARK = b"\xef\xbb\xbf"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_bundle(parser)
    parser.add_argument("text", nargs="*", metavar="TEXT", help="texts to encode; without any, the lines of standard input")
    parser.add_argument("--out", metavar="FILE.npy", help="write a float32 array (texts, dimensions) instead of JSON Lines")
    add_space(parser)
    parser.add_argument("--precision", choices=("int8", "fp32"), default="int8", help="which graph runs (default: %(default)s)")
    parser.add_argument(
        "--threads",
        type=whole_number(1, MAX_THREADS),
        default=1,
        help="calls side by side; changes no vector (default: %(default)s)",
    )


def run(arguments: argparse.Namespace) -> None:
    from m5model import toolkit

    encoder = toolkit.load(find_bundle_path(arguments), arguments.precision, arguments.threads)
    encoder.require_comparable(*filter(None, (find_space(arguments),)))
    texts = arguments.text or _standard_input()
    vectors_BD = encoder.encode(texts)
    if arguments.out:
        _write_array(arguments.out, vectors_BD)
    else:
        sys.stdout.writelines(_vector_lines(texts, vectors_BD))


def read_lines(lines: Iterable[bytes]) -> Iterator[str]:
    """The texts of UTF-8 lines. Raises BadDataError naming the line that is not UTF-8, or empty."""
    for number, line in enumerate(lines, start=1):
        content = (line.removeprefix(BYTE_ORDER_MARK) if number == 1 else line).rstrip(b"\r\n")
        try:
            text = content.decode()
        except UnicodeDecodeError as error:
            raise BadDataError(
                f"line {number} of standard input is not UTF-8: byte {error.start} is 0x{content[error.start]:02x}",
                next_step="convert the input, e.g. with iconv -f WINDOWS-1252 -t UTF-8, or leave the line out",
            ) from error
        if not text:
            raise BadDataError(f"line {number} of standard input is empty", next_step="leave empty lines out: grep .")
        yield text


def _standard_input() -> list[str]:
    if sys.stdin is None:
        raise ConfigurationError("no TEXT was given, and standard input is closed", next_step="give texts, or pipe lines in")
    return list(read_lines(sys.stdin.buffer))


def _write_array(path: str, vectors_BD: "np.ndarray") -> None:
    import numpy as np

    from m5model.files import storage

    name = path if path.endswith(".npy") else f"{path}.npy"
    try:
        Path(name).parent.stat()  # a folder that there is not is a wrong path, and not made
        with storage.open_output(name) as stream:
            np.save(stream, vectors_BD)
    except OSError as error:
        explained = explain_os_error(error)
        raise type(explained)(f"cannot write {name}: {error}", next_step=explained.next_step) from error


def _vector_lines(texts: list[str], vectors_BD: "np.ndarray") -> Iterator[str]:
    for text, vector_D in zip(texts, vectors_BD, strict=True):
        yield json.dumps({"text": text, "vector": vector_D.tolist()}, ensure_ascii=False) + "\n"
