"""Floor 3: how unbalanced an unlabelled data set is among the groups that can be told apart in it, or that none can."""
