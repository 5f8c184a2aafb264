"""The rules of `diagnose`, a file for each kind of model or data they look at. No torch."""
