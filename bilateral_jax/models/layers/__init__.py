"""What the papers' networks share: norms, convolutions, guides, coefficients, row tiles."""
