"""Floor 1: networks, posteriors and likelihood heads. Imports core only."""
