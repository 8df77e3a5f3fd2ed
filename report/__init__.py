"""What a person sees: of a run, while it works and at its end; by `make diff`, by `make drift`."""
