"""A table with missing cells and categories: train, encode, and see that missing cells counted for nothing."""

# %% A small made-up clinic. In your own work this is a CSV, a Parquet file or a frame.
import csv

import numpy as np

import elboroom as elbo

rng = np.random.default_rng(0)
with open("clinic.csv", "w", newline="") as file:
    out = csv.writer(file)
    out.writerow(["age", "pressure", "ward"])
    for _ in range(400):
        age = rng.integers(20, 90)
        pressure = "" if rng.random() < 0.1 else round(100 + age / 2 + rng.normal(0, 5), 1)
        out.writerow([age, pressure, rng.choice(["north", "south", "east"], p=[0.6, 0.3, 0.1])])

# %% Each kind of column gets a likelihood of its own; a missing cell enters no loss.
run = elbo.fit("vae", "clinic.csv", latent=2, epochs=15, run="runs/clinic")
print("parts", run.meta["data"]["split"]["counts"])
print("found", run.meta["data"]["problems"])

# %% The code of each patient, in the order of the file.
codes = run.encode("clinic.csv")
print("codes", codes.z.shape, "spread", codes.z_sd.mean(0))
