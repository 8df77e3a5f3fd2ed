"""Virtual Raspberry Pis on this machine. `python -m lab` for people, `lab.api.Lab` for tests."""
