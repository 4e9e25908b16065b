"""Encoders: geometry presets, torch modules, checkpoints."""
