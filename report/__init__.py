"""What is shown of a run: while it works and at its end; by `make diff` and `make drift`."""
