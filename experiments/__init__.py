"""One file per paper, and what runs them: here models, losses, data and training meet."""
