"""Where batches of files are worked on: in this process, in a pool of processes."""
