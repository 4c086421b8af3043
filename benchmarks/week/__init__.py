"""A simulated week of a station, on the real programs."""
