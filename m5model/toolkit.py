"""The toolkit's door: a bundle becomes an encoder. No torch, no Spark."""

from m5model.bundles.find import open_bundle
from m5model.runtime.encoder import Encoder, read_model
from schemas.bundle import Precision


def load(path: str, precision: Precision = "int8", threads: int = 1) -> Encoder:
    """An encoder for the bundle at ``path`` (a folder or s3a:// URI), every byte of it checked first.

    ``threads`` calls run side by side; the vectors do not depend on it. Raises DamagedFileError for a damaged bundle and
    ConfigurationError where there is no bundle or it has no ONNX graph of that precision.
    """
    folder, manifest = open_bundle(str(path).rstrip("/"))
    return Encoder(read_model(folder, manifest, precision), threads=threads)
