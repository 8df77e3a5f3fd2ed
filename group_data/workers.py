"""Settings of the workers alone: a name set here overrides group_data/all.py for them."""
