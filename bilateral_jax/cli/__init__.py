"""The sub-commands of `bilateral-jax`, one file each: its arguments and what it does.

`add_arguments(parser)` declares the arguments; `run` takes them and gives the exit code.

Receives arguments from `bilateral_jax/__main__.py`.
Hands files to disk and results to the terminal.
"""
