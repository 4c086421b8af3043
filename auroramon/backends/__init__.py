"""What runs the embedder: one file per runtime, each filling in `auroramon.ports.Backend`."""
