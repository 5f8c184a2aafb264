"""Contestants: each file is started as a script of its own, in an environment of its own; see wire.py."""
