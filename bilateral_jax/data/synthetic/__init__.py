"""Synthetic examples: procedural images, simulated cameras, distortions of known strength."""
