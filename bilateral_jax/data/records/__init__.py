"""Data sets prepared as record files by tensorflow-datasets: builders and sources."""
