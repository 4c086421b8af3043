"""What puts auroramon on a machine, and watches it from afar."""
