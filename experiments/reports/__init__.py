"""HTML pages of runs and sweeps, and contact sheets."""
