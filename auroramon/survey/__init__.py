"""Finds out what a folder of frames holds, by reading a few of them: for `auroramon init`."""
