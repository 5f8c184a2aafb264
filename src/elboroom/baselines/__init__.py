"""Floor 3: what always stands beside a model: something simpler, fitted on the same training part."""
