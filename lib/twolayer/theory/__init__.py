"""Closed forms, one file a result. Each takes the config that the simulation takes."""
