"""Many trainings: their configs, the engine that runs them, their results."""
