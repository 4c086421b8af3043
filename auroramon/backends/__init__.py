"""What runs the embedder: one file per runtime, each filling in `auroramon.ports.Backend`."""

import os

# A station tells nobody what it computes. ONNX Runtime looks at this once, while it is imported, before its own call
# can forbid anything; so it stands where every module of ours that imports it has passed.
os.environ["ORT_DISABLE_TELEMETRY"] = os.environ["ORT_TELEMETRY_DISABLED"] = "1"
