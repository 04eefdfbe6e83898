"""Simulation measures: the configs of `twolayer.theory`, run."""
