"""Decoders, one file per image format: `plan` reads a header and says how to decode the pixels."""
