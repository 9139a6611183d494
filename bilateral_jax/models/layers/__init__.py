"""Layers that several papers' networks share: convolutions, norms, guides, grids, row tiles."""
