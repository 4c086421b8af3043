"""Examines a station before something breaks: each line is well, a warning or a failure, with what to do."""
