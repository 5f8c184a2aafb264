"""Floor 1: what is kept on disk: run folders, checkpoints, tensors. Needs no torch until a tensor of torch is met."""
