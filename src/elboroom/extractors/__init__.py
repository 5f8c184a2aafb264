"""Named, hashed feature extractors: the spaces in which sample quality is measured. Start at choosing.py."""
