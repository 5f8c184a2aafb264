"""What measures, checks and states are called on a page, and which way is better (LOOK section 8).

The term of the field comes first, its meaning on a second line. A key that is not listed here is still shown, under
its own name: a new measure needs a line here only to read well.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = ["CHECKS", "HEADLINES", "MEASURES", "STATES", "Word", "article", "clean", "measure", "plural"]

Better = Literal["less", "more", ""]


@dataclass(frozen=True)
class Word:
    """How one measure is named."""

    label: str
    better: Better = ""
    meaning: str = ""
    """The second line: what the number says, without a verb where that can be."""
    of: bool = False
    """The value is a count out of its unit or of a total that a reference gives."""


MEASURES: dict[str, Word] = {
    "bits_per_dim": Word("Bits per dimension", "less", "cost of storing one value of an unseen example"),
    "log_likelihood_nats": Word("Log-likelihood", "more", "importance-weighted lower bound"),
    "elbo_nats": Word("ELBO", "more", "lower bound of the log-likelihood"),
    "posterior_gap_nats": Word("Posterior gap", "less", "log-likelihood less ELBO: what the encoder leaves out"),
    "ais_log_likelihood_nats": Word("Log-likelihood, audited", "more", "annealed importance sampling, a lower bound"),
    "ais_gap_nats": Word("Audit's own gap", "less", "upper less lower bound, on examples the model made"),
    "approximation_gap_nats": Word("Approximation gap", "less", "what no diagonal Gaussian posterior can do"),
    "amortization_gap_nats": Word("Amortisation gap", "less", "what a posterior fitted to each example would gain"),
    "rate_nats": Word("Rate", "", "information the code carries: KL to the prior"),
    "distortion_nats": Word("Distortion", "less", "what the code leaves open: −log p(x given z)"),
    "reconstruction_bce": Word("Cross-entropy a value", "less", "of the decoded mean, mean over values"),
    "reconstruction_mse": Word("Squared error a value", "less", "decoded mean against original, mean over values"),
    "active_units": Word("Latent dimensions in use", "", "those that carry information", of=True),
    "psnr_db": Word("Peak signal-to-noise ratio", "more", "of the reconstruction"),
    "denoised_psnr_db": Word("Denoised, signal-to-noise ratio", "more", "peak, against the clean image"),
    "denoised_mse": Word("Denoised, squared error a cell", "less", "against the clean row"),
    "trustworthiness": Word("Trustworthiness", "more", "neighbours in the code that are neighbours in the data"),
    "neighbour_accuracy": Word("Label of the nearest neighbour", "more", "share right, by distance between codes"),
    "code_mmd": Word("MMD² of the codes", "less", "all codes together against the law they shall follow"),
    "code_gap": Word("Largest gap on an axis", "less", "codes against their law, the worst axis"),
    "code_auc": Word("Codes told from their law", "less", "by a fitted rule: 0.5 cannot, 1 always can"),
    "ari": Word("Cluster agreement (ARI)", "more", "clusters of codes against labels"),
    "nmi": Word("Cluster agreement (NMI)", "more", "clusters of codes against labels"),
    "r2": Word("Variance explained (R²)", "more"),
    "mae": Word("Absolute error", "less", "mean distance from the true value"),
    "information_recovered": Word(
        "Information recovered", "more", "columns told better than by all but the best twentieth of single columns"
    ),
    "interval_coverage": Word("Inside the 90 % interval", "", "of cells that were hidden"),
    "mig": Word("Disentanglement (MIG)", "more", "how far one code knows a factor better than the next"),
    "dci_disentanglement": Word("Disentanglement (DCI)", "more", "how far each code serves one factor only"),
    "sap": Word("Disentanglement (SAP)", "more", "how far one code names a factor better than the next"),
    "factor_vae_score": Word("Disentanglement (FactorVAE)", "more", "groups whose stillest code tells their factor"),
    "codebook_perplexity": Word("Codes in use", "more", "perplexity of the codebook", of=True),
    "codebook_usage": Word("Codes ever used", "more"),
    "prior_bits_per_code": Word("Prior, bits per code", "less"),
    "frechet_distance": Word("Fréchet distance", "less", "samples against held-out data, means and covariances"),
    "kernel_distance": Word("Kernel distance", "less", "samples against held-out data, without bias"),
    "precision": Word("Precision", "more", "samples that look real"),
    "recall": Word("Recall", "more", "real data it can make"),
    "density": Word("Density", "more", "real examples around a sample, 1 for a perfect model"),
    "coverage": Word("Coverage", "more", "real examples that have a sample near"),
    "modes_found": Word("Modes found", "more", "modes with a sample within three standard deviations", of=True),
    "mode_kl": Word("Divergence over modes", "less", "KL of the samples' shares from those of the data, nats"),
    "high_quality_share": Word("Samples near a mode", "more", "share within three standard deviations of a centre"),
    "class_accuracy": Word(
        "Class of samples right", "more", "share that a network trained on real labels names as what was asked for"
    ),
    "accuracy": Word("Right", "more", "share of examples"),
    "balanced_accuracy": Word("Right, classes alike", "more", "mean over classes of the share that is right"),
    "macro_f1": Word("F1, classes alike", "more", "mean over classes"),
    "log_loss_nats": Word("Log loss", "less", "−log of the probability given to the true class"),
    "calibration_error": Word("Calibration error", "less", "stated probability against share right"),
    "mae_horizon": Word("Absolute error at the horizon", "less", "the farthest step ahead that is forecast at once"),
    "coverage_90": Word("Inside the 90 % interval", "", "one row ahead"),
    "vus_pr": Word("VUS-PR (TSB)", "more"),
    "vus_roc": Word("VUS-ROC", "more"),
    "auc_pr": Word("AUC-PR", "more"),
    "event_f1": Word("Events found, F1", "more"),
    "nab_score": Word("NAB score", "more"),
    "bits_per_byte": Word("Bits per byte", "less", "cost of storing one byte of unseen text"),
    "loss_nats_per_token": Word("Loss a token", "less"),
    "nano_loss_nats_per_token": Word("Loss a token, random windows", "less", "as nanoGPT estimates it"),
    "perplexity": Word("Perplexity", "less", "as unsure as among so many tokens alike"),
    "token_accuracy": Word("Next token right", "more", "share of tokens that were the likeliest ones"),
    "longest_copy_characters": Word("Longest copy", "less", "run of a sample that stands in the training text"),
    "memorised_share": Word("Copies of training data", "less", "share of what is sampled"),
    "loss_nats": Word("Loss", "less", "what training lowers"),
}
"""In the order in which tables list them."""

HEADLINES: tuple[tuple[str, ...], ...] = (
    ("bits_per_dim", "bits_per_byte", "mae"),
    ("longest_copy_characters",),
    ("log_likelihood_nats", "elbo_nats", "loss_nats_per_token"),
    ("token_accuracy", "mae_horizon", "balanced_accuracy", "information_recovered"),
    ("coverage_90", "interval_coverage", "log_loss_nats"),
    ("reconstruction_bce",),
    ("active_units", "codebook_perplexity"),
    ("frechet_distance",),
    ("modes_found",),
    ("class_accuracy", "high_quality_share"),
    ("coverage",),
    ("precision",),
    ("reconstruction_mse",),
    ("neighbour_accuracy", "accuracy", "r2"),
)
"""The figures on top: of each line the first key the run has, four at most, none twice."""

STATES: dict[str, tuple[str, str]] = {
    "done": ("✓", "good"),
    "running": ("◔", "accent"),
    "stopped": ("□", "warn"),
    "failed": ("×", "bad"),
}
"""Glyph and colour token; the word always stands beside them."""

LEVELS: dict[str, tuple[str, str, str]] = {
    "ok": ("✓", "good", "in order"),
    "warn": ("△", "warn", "look at this"),
    "alarm": ("×", "bad", "wrong"),
}

CHECKS: dict[str, tuple[str, str]] = {
    "nonfinite": ("Loss finite at every step", "A loss or weight was not finite"),
    "overfitting": ("Training and validation agree", "Validation falls behind training"),
    "posterior_collapse": ("Latent dimensions carry information", "Latent dimensions carry nothing"),
    "unused_noise": ("The encoder's draws differ", "The encoder draws in name only"),
    "mode_collapse": ("Samples are varied", "Samples repeat themselves"),
    "discriminator_too_strong": ("Discriminator not too strong", "Discriminator too strong"),
    "discriminator_too_weak": ("Discriminator not too weak", "Discriminator too weak"),
    "vanishing_gradients": ("Gradients reach every layer", "Gradients vanish"),
    "exploding_gradients": ("Gradients stay in bounds", "Gradients explode"),
    "stalled": ("Loss still falls", "Loss stands still"),
    "codebook_collapse": ("Codes are used", "Most codes are never used"),
    "short_memory": ("Long memory", "Memory is short"),
    "nonstationary": ("Data do not drift", "Data drift"),
}
"""The sentence of a finding when it is ok, and when it is not."""


def measure(key: str) -> Word:
    """The words of a measure, made of its key where it is not listed."""
    return MEASURES.get(key) or Word(clean(key))


def clean(key: str) -> str:
    """A key as a label: `rate_nats` gives "Rate nats"."""
    text = key.replace("_", " ").strip()
    return text[:1].upper() + text[1:]


def article(noun: str) -> str:
    """ "A" or "An" by the first letter; "an MLP" is not met, for model names start with their word."""
    return "An" if noun[:1].lower() in "aeio" else "A"


def plural(count: int, one: str, many: str = "") -> str:
    """ "1 class", "10 classes"."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"
