"""Floor 5: the command line. Nothing here imports torch, numpy or pydantic before a verb is at work."""
