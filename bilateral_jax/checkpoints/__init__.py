"""Pytrees and networks on disk: saved whole or not at all, validated when restored.

Receives training states and networks.
Hands NumPy pytrees and models back.
"""
