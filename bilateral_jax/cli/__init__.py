"""The sub-commands of `bilateral-jax`, one file each.

Receives parsed arguments from `__main__.py`.
Hands results to files and to the terminal.
"""
