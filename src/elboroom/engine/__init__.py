"""Floor 1: one training step, many ways to run it. Knows phases; knows no model, no file and no data kind."""
