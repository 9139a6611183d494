"""Examples that are made: procedural photos, simulated cameras, distortions of known strength."""
