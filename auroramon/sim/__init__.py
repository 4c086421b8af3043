"""The simulated sky and station: frames of all-sky cameras that never existed, drawn with NumPy and Pillow.

Everything that comes from here is simulated; docs/simulation.md says what is modelled and by which rules a frame
is given its label.
"""
