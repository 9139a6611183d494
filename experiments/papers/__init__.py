"""One file per paper: its config becomes `init`, `update` and `enhance`."""
