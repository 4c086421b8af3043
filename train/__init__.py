"""Makes the models that auroramon serves. Not in the wheel; it imports auroramon freely, never the reverse."""
