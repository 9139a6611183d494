"""Sources of published data sets, one file each, and their base classes and readers."""
