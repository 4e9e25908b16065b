"""Starting weights by name: the starter, a checkpoint folder, or a model of the Hugging Face hub."""

import json
from pathlib import Path

from m5model.encoders.starter import STARTER, unpack_starter
from m5model.files.checksums import sha256_of
from m5model.files.manifests import convert, read_object
from schemas.bundle import CONFIG_FILE, LICENCE_NOT_STATED, ORIGIN_FILE, PROMPTS_FILE, WEIGHTS_FILE, Origin
from schemas.errors import ConfigurationError

WEIGHTS_INDEX = f"{WEIGHTS_FILE}.index.json"
TORCH_WEIGHTS = "pytorch_model.bin"
_WANTED = ("*.json", "*.safetensors", TORCH_WEIGHTS, "*.model", "*.txt", "README.md", "LICENSE*")


def find_source(name: str) -> Path:
    """The local folder of ``name``: "starter", a folder, or OWNER/MODEL, which is fetched from the hub where there is internet.

    Raises ConfigurationError where there is no such checkpoint.
    """
    if name == STARTER:
        return unpack_starter()
    folder = Path(name).expanduser()
    if (folder / CONFIG_FILE).is_file():
        return folder
    if folder.exists() or name.startswith((".", "/", "~")):
        raise ConfigurationError(f"{name} is no checkpoint: it has no {CONFIG_FILE}", next_step="give a folder that has one")
    return _fetch(name)


def read_origin(folder: Path, name: str) -> Origin:
    """Reads from the files of a checkpoint where it comes from."""
    if (folder / ORIGIN_FILE).is_file():
        return convert(Origin, read_object((folder / ORIGIN_FILE).read_bytes(), str(folder / ORIGIN_FILE)), str(folder))
    weights = find_weights(folder)
    digest = sha256_of(weights[0]) if len(weights) == 1 else sha256_of(folder / WEIGHTS_INDEX)
    return Origin(name=name, licence=_read_licence(folder), sha256=digest, prefix=_read_prefix(folder))


def find_weights(folder: Path) -> list[Path]:
    """The files that hold the weights. Raises ConfigurationError where there is none."""
    if (folder / WEIGHTS_FILE).is_file():
        return [folder / WEIGHTS_FILE]
    if (folder / WEIGHTS_INDEX).is_file():
        index = json.loads((folder / WEIGHTS_INDEX).read_text(encoding="utf-8"))
        return [folder / name for name in sorted(set(index["weight_map"].values()))]
    if (folder / TORCH_WEIGHTS).is_file():
        return [folder / TORCH_WEIGHTS]
    raise ConfigurationError(
        f"{folder} has no weights: neither {WEIGHTS_FILE} nor {TORCH_WEIGHTS}", next_step="give a whole checkpoint"
    )


def _read_prefix(folder: Path) -> str:
    """The prefix that sentence-transformers puts before every text by default; none where it has none."""
    file = folder / PROMPTS_FILE
    if not file.is_file():
        return ""
    settings = json.loads(file.read_text(encoding="utf-8"))
    name = settings.get("default_prompt_name")
    return str((settings.get("prompts") or {}).get(name, "")) if name else ""


def _read_licence(folder: Path) -> str:
    """``license:`` of the model card's front matter."""
    card = folder / "README.md"
    lines = card.read_text(encoding="utf-8").splitlines() if card.is_file() else []
    stated = (line.partition(":")[2].strip() for line in lines if line.startswith("license:"))
    return next(stated, LICENCE_NOT_STATED)


def _fetch(name: str) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    try:
        return Path(snapshot_download(name, allow_patterns=list(_WANTED)))
    except (HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OSError) as error:
        raise ConfigurationError(
            f"there is no checkpoint {name}: no such folder, and the hub did not give it ({type(error).__name__})",
            next_step=f'give a folder with {CONFIG_FILE}, or "{STARTER}", which needs no internet',
        ) from error
