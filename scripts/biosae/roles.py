"""What a run is for: an SAE, or one of the baselines beside it."""

from __future__ import annotations

TRAINED_KINDS = ("topk", "batchtopk", "matryoshka", "relu")
SHAPELESS = ("raw", "pca", "ica")  # baselines that do not depend on the grid
TRAINED_ROLES = ("sae", "frozen", "permuted", "random_model")
BASELINES = (*SHAPELESS, "random", *TRAINED_ROLES[1:])
DATA = ("permuted", "random_model")  # roles that are trained, evaluated and encoded on stores of their own
