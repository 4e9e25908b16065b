"""Plans what a run costs before it starts: training, embedding, the fleet that either takes. No torch but in calibration."""
