"""Classical operators, used as teachers and as baselines."""
