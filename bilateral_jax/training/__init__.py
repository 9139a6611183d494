"""Training machinery; receives functions and pytrees, knows neither models nor data."""
