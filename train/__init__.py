"""Makes the models that auroramon serves. Not in the wheel; it imports auroramon freely, never the reverse."""

import auroramon.backends as _backends  # noqa: F401 - before the first import of ONNX Runtime: it keeps it silent
