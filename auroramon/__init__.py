"""auroramon: a label for every frame of an all-sky camera."""

__version__ = "0.1.0"
