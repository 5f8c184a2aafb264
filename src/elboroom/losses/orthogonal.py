"""A penalty on filters that point the same way, whatever their lengths.

Brock et al. 2019 (BigGAN, 1809.11096), section 3.1:  R = || W W^T * (1 - I) ||_F^2, the squares of the products of
every two rows of a weight that is read as a matrix of one row a filter. Orthogonality itself (Brock et al. 2017,
1609.07093) asks for unit length too, which limits more than is needed; the diagonal is left out for that.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

__all__ = ["orthogonal_penalty"]


def orthogonal_penalty(weights: Iterable[Tensor]) -> Tensor:
    """Sum of R over weights (filters, ...), 0-dim; to be weighed by 1e-4 as there."""
    return torch.stack([of_one(weight.flatten(1)) for weight in weights]).sum()


def of_one(rows: Tensor) -> Tensor:
    gram = rows @ rows.t()
    return (gram - torch.diag(gram.diagonal())).square().sum()
