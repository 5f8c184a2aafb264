"""Floor 1: pure formulas on tensors and arrays. What a number is, how sure it is, and nothing about runs."""
