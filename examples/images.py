"""A VAE on drawn shapes: train, measure, look. `python examples/images.py`"""

# %% Train. `shapes` is drawn when asked for, so nothing is downloaded.
import elboroom as elbo

grid = "shapes:shape=3,scale=2,rotation=4,x=5,y=5,size=16"
run = elbo.fit("vae", grid, latent=6, epochs=4, seed=0, run="runs/shapes")

# %% What was measured on the held-out part, with its interval and what is simpler beside it.
for name, measure in run.metrics.items():
    beside = ", ".join(f"{r['name']} {r['value']:.4g}" for r in measure.get("references", []))
    print(f"{name:24} {measure['value']:10.4g} {measure['unit']:12} {beside}")

# %% New shapes, in grey levels; the same seed gives the same ones.
pictures = run.sample(16, seed=1)
print("samples", pictures.shape, pictures.dtype)

# %% The report: one file to open in a browser.
print("report", run.report())
