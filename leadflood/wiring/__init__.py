"""Wiring: how the parts that `app` names are built from each other."""
