"""Finds partners and strategies by name. Strategies have a hyphen in their names where their files have an underscore."""

from types import ModuleType

from m5model.partners import strategies
from schemas import partners
from schemas.partner import Partner
from schemas.registry import list_members, load_member, load_members


def find_partner(name: str) -> Partner:
    """Raises ConfigurationError that names the partners, where there is no such one."""
    partner: Partner = load_member(partners, name, "partner").PARTNER
    return partner


def list_partners() -> list[str]:
    return list_members(partners)


def find_strategy(name: str) -> ModuleType:
    """Raises ConfigurationError that names the strategies, where there is no such one."""
    return load_member(strategies, name.replace("-", "_"), "strategy")


def list_strategies() -> dict[str, ModuleType]:
    """All strategies by name."""
    return {name.replace("_", "-"): module for name, module in load_members(strategies).items()}
