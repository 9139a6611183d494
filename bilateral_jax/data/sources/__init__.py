"""Data sets as they lie on disk, one file each: length, random access, NumPy dictionaries."""
