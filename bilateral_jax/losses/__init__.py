"""Losses without state: arrays in, one value per example out; experiments weight and sum."""
