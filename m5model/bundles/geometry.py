"""The geometry of a bundle's encoder."""

from dataclasses import fields

from m5model.encoders.presets import PRESETS, CrossAttentionPreset, EncoderPreset, WholePreset
from schemas.bundle import BundleManifest
from schemas.errors import DamagedFileError


def preset_of(manifest: BundleManifest) -> EncoderPreset:
    """The preset that a bundle was made with: a named one, or the one that its recipe holds.

    Raises DamagedFileError for a manifest that has neither.
    """
    if manifest.preset in PRESETS:
        return PRESETS[manifest.preset]
    stated = (manifest.recipe or {}).get("preset")
    if not isinstance(stated, dict):
        raise DamagedFileError(
            f"the manifest of {manifest.id} does not say its geometry: there is no preset {manifest.preset}, and no recipe",
            next_step="make the bundle again",
        )
    kinds = (CrossAttentionPreset, WholePreset, EncoderPreset)
    kind = next(kind for kind in kinds if {one.name for one in fields(kind)} - {"parameters"} <= stated.keys())
    return kind(**stated, parameters=manifest.parameters)
