"""Metrics of a model, or of a folder of images, against targets, and tables of them."""
