"""A grid search over the width of a code, with scikit-learn."""

# %% The question: how many latents does a classifier of digits need?
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline

import elboroom as elbo

X, y = load_digits(return_X_y=True)
chain = make_pipeline(elbo.Estimator("vae", epochs=3, seed=0), LogisticRegression(max_iter=1000))
search = GridSearchCV(chain, {"estimator__latent": [2, 8]}, cv=2).fit(X[:600], y[:600])

# %% Accuracy on the folds that were left out.
for tried, score in zip(search.cv_results_["params"], search.cv_results_["mean_test_score"], strict=True):
    print(f"{tried}: accuracy {score:.3f}")
