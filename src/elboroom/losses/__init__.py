"""Floor 1: objectives as pure functions of tensors. Imports core only."""
