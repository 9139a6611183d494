"""Slicing and splatting as dense arithmetic, without gather or scatter, for every platform."""
