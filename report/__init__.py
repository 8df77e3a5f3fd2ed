"""What a person sees: of a run while it works and at its end, and by `make diff` and `make drift`."""
