"""Networks of your own inside a VAE: the loss, the likelihood and the report stay."""

# %% Data in memory: a noisy circle in ten dimensions.
import numpy as np
from torch import nn

import elboroom as elbo

rng = np.random.default_rng(0)
angle = rng.uniform(0, 2 * np.pi, 500)
X = np.stack([np.cos(angle), np.sin(angle)], 1) @ rng.normal(size=(2, 10)) + rng.normal(0, 0.1, (500, 10))

# %% An encoder gives mean and log standard deviation of each latent, a decoder the mean of each column.
encoder = nn.Sequential(nn.Linear(10, 64), nn.SiLU(), nn.Linear(64, 2 * 2))
decoder = nn.Sequential(nn.Linear(2, 64), nn.SiLU(), nn.Linear(64, 10))
run = elbo.fit("vae", X, latent=2, epochs=20, encoder=encoder, decoder=decoder)

# %% Ten columns went through two numbers; PCA of the same width stands beside the error.
error = run.metrics["reconstruction_mse"]
print(error["value"], [(r["name"], r["value"]) for r in error["references"]])
