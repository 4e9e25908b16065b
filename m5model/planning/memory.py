"""Bytes that a device and its host need in training. No torch.

Sources: ZeRO (Rajbhandari et al. 2020), ZeRO-Offload (Ren et al. 2021), activations (Korthikanti et al. 2022: 34 bytes a token,
layer and hidden unit in 16 bits, without the scores of attention, which fused kernels do not keep).
"""

from dataclasses import dataclass, fields

from m5model.planning.fleet import GB, Fleet
from m5model.planning.operations import Texts, layer_tokens
from m5model.planning.setup import PRECISIONS, Assumptions, Setup
from m5model.planning.shape import Shape

MASK = 1  # byte of a dropout mask's element
LOSS = 8  # bytes of a logit in 32 bits, and of its gradient


@dataclass(frozen=True, kw_only=True)
class DeviceMemory:
    """Bytes on one device, by part."""

    weights: float
    gradients: float
    optimizer: float
    gathered: float  # layers that ZeRO-3 or offloading brings in while they are used
    activations: float
    logits: float
    reserved: float

    @property
    def total(self) -> float:
        return sum(getattr(self, one.name) for one in fields(self))


def memory_on_device(shape: Shape, texts: Texts, setup: Setup, devices: int, assumed: Assumptions) -> DeviceMemory:
    """Of each of ``devices`` devices, at the moment of a step when it is most."""
    weight, gradient, optimizer, activation = PRECISIONS[setup.precision]
    parameters = shape.parameters
    parts = [devices if setup.zero >= stage else 1 for stage in (3, 2, 1)]
    streams = setup.offload == "all"
    offloads = setup.offload != "none"
    layer = 2 * shape.largest_layer  # one in use, one on its way
    gathered = weight * layer * (streams or setup.zero == 3) + gradient * layer * (offloads or setup.zero >= 2)
    return DeviceMemory(
        weights=0.0 if streams else weight * parameters / parts[0],
        gradients=0.0 if offloads else gradient * parameters / parts[1],
        optimizer=0.0 if offloads else optimizer * parameters / parts[2],
        gathered=gathered if devices > 1 or offloads else 0.0,
        activations=setup.micro_batch * _activations(shape, texts, activation, setup.checkpointing),
        logits=setup.micro_batch * texts.length * texts.mask_share * shape.vocabulary_size * (activation + LOSS),
        reserved=assumed.reserved_gb * GB,
    )


def memory_on_host(shape: Shape, setup: Setup, fleet: Fleet) -> float:
    """Bytes in each instance's memory that offloading takes."""
    weight, gradient, optimizer, _ = PRECISIONS[setup.precision]
    if setup.offload == "none":
        return 0.0
    moved = gradient + optimizer + (weight if setup.offload == "all" else 0)
    copies = fleet.count if setup.zero >= 1 else 1 / fleet.instance.devices  # without ZeRO every device has its own
    return moved * shape.parameters / copies


def _activations(shape: Shape, texts: Texts, size: int, checkpointing: bool) -> float:
    """Bytes of one sample's, kept for the backward pass."""
    own = size * (8 * shape.hidden_size + 2 * shape.intermediate_size) + 2 * MASK * shape.hidden_size
    crossing = shape.fused_layers * texts.length * shape.hidden_size * (5 * size + MASK)
    if not checkpointing:
        return layer_tokens(shape, texts) * own + crossing
    kept = layer_tokens(shape, texts) * shape.hidden_size * size
    return kept + texts.length * own + (crossing / shape.fused_layers if shape.fused_layers else 0.0)
