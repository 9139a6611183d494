"""The sub-commands of `bilateral-jax`, one file each: its arguments and what it does.

`add_parser(commands)` declares a sub-command; `run` gets its arguments and gives the exit code.

Receives arguments from `bilateral_jax/__main__.py`.
Hands files to disk and results to the terminal.
"""
