"""Weights from a file into a module: every name and every shape as expected, or an error that names what is not."""

from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from schemas.bundle import CONFIG_FILE
from schemas.errors import DamagedFileError


def load_weights(model: nn.Module, file: Path) -> None:
    """Fill ``model`` from a safetensors file whose names and shapes are exactly the model's; else DamagedFileError."""
    try:
        found = load_file(file)
    except (FileNotFoundError, SafetensorError) as error:
        raise DamagedFileError(f"cannot read weights: {file}: {error}", next_step="make the checkpoint again") from error
    problems = _mismatches(dict(model.state_dict()), found)
    if problems:
        raise DamagedFileError(
            f"{file} does not hold this model's weights: {'; '.join(problems)}",
            next_step=f"use the {CONFIG_FILE} that was saved with these weights, or weights that were saved with this one",
        )
    model.load_state_dict(found, strict=True)


def _mismatches(expected: dict[str, Tensor], found: dict[str, Tensor]) -> list[str]:
    problems = [f"missing {name}" for name in expected if name not in found]
    problems += [f"unexpected {name}" for name in found if name not in expected]
    for name in expected.keys() & found.keys():
        if expected[name].shape != found[name].shape:
            problems.append(f"{name} is {tuple(found[name].shape)}, expected {tuple(expected[name].shape)}")
    return sorted(problems)
