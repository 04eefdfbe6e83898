"""What a chapter works with: sweeps, claims, plots, sliders, exercises."""
