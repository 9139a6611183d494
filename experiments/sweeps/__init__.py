"""Sweeps: configs of the trials, the Ray runner, tables and plots of the results."""
