# SPDX-License-Identifier: Apache-2.0
"""Mixtures of Gaussians: scikit-learn fits them, plain numpy draws from them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

# What a fit adds to every variance, so that a Gaussian cannot shrink to a point where
# samples coincide: a standard deviation of 0.003.
_REG_COVAR = 1e-5


@dataclass(frozen=True, eq=False)
class GaussianMixture:
    """A mixture of C Gaussians in D dimensions.

    Args:
        weights (np.ndarray): Share of each Gaussian (C,), above 0, sum 1.
        means (np.ndarray): Means (C, D).
        covariances (np.ndarray): Covariances (C, D, D), positive definite.

    Raises:
        ValueError: If the shapes do not fit together or the values are no mixture.

    Example:
        >>> mixture = GaussianMixture([1.0], [[0.0, 0.0]], [np.eye(2)])
        >>> mixture.sample((5, 3), np.random.default_rng(0)).shape
        (5, 3, 2)
    """

    weights: np.ndarray
    means: np.ndarray
    covariances: np.ndarray

    def __post_init__(self) -> None:
        for name in ('weights', 'means', 'covariances'):
            values = np.asarray(getattr(self, name), dtype=np.float64)
            if not np.isfinite(values).all():
                raise ValueError(f'{name} must be finite, got {values.tolist()}')
            object.__setattr__(self, name, values)
        shapes = self.weights.shape, self.means.shape, self.covariances.shape
        number, dims = self.means.shape if self.means.ndim == 2 else (0, 0)
        if not number or shapes != ((number,), (number, dims), (number, dims, dims)):
            raise ValueError(
                'weights, means and covariances must be (C,), (C, D) and (C, D, D), '
                f'got {shapes[0]}, {shapes[1]} and {shapes[2]}'
            )
        if (self.weights <= 0).any() or abs(self.weights.sum() - 1) > 1e-4:
            raise ValueError(
                f'weights must be above 0 and sum to 1, got {self.weights.tolist()}'
            )
        symmetric = np.allclose(self.covariances, self.covariances.swapaxes(1, 2))
        if not symmetric or np.linalg.eigvalsh(self.covariances).min() <= 0:
            raise ValueError(
                'covariances must be symmetric and positive definite, got '
                f'{self.covariances.tolist()}'
            )

    @cached_property
    def _factors(self) -> np.ndarray:
        """Cholesky factors (C, D, D)."""
        return np.linalg.cholesky(self.covariances)

    @cached_property
    def _shares(self) -> np.ndarray:
        """Upper ends of the Gaussians' shares of 0 to 1, (C,)."""
        ends = self.weights.cumsum()
        return ends / ends[-1]

    def sample(self, shape: tuple[int, ...], rng) -> np.ndarray:
        """Draw from the mixture.

        Args:
            shape (tuple[int, ...]): How many.
            rng: A numpy ``Generator`` or ``RandomState``, or ``np.random`` itself.

        Returns:
            np.ndarray: Samples (*shape, D).
        """
        chosen = np.searchsorted(self._shares, rng.uniform(size=shape), side='right')
        noise = rng.standard_normal((*shape, self.means.shape[1], 1))
        return self.means[chosen] + (self._factors[chosen] @ noise)[..., 0]

    def log_prob(self, x: np.ndarray) -> np.ndarray:
        """Log density.

        Args:
            x (np.ndarray): Where (..., D).

        Returns:
            np.ndarray: Log density (...).
        """
        difference = np.asarray(x)[..., None, :] - self.means
        whitened = np.einsum(
            'cde,...ce->...cd', np.linalg.inv(self._factors), difference
        )
        log_det = np.log(np.diagonal(self._factors, axis1=1, axis2=2)).sum(axis=1)
        dims = self.means.shape[1]
        each = (
            np.log(self.weights)
            - 0.5 * (whitened**2).sum(axis=-1)
            - log_det
            - 0.5 * dims * np.log(2 * np.pi)
        )
        return np.logaddexp.reduce(each, axis=-1)

    @classmethod
    def fit(
        cls, samples: np.ndarray, max_components: int = 8, seed: int = 0
    ) -> GaussianMixture:
        """Fit a mixture by expectation maximisation.

        The Bayesian information criterion chooses the number of Gaussians.

        Args:
            samples (np.ndarray): Samples (N, D), N above D.
            max_components (int): Most Gaussians. Defaults to 8.
            seed (int): Seed of where a fit starts. Defaults to 0.

        Returns:
            GaussianMixture: The mixture.

        Raises:
            ImportError: If scikit-learn (the extra ``learn``) is not installed.
            ValueError: If there are too few samples for a covariance.
        """
        from sklearn import mixture

        number, dims = samples.shape
        if number <= dims:
            raise ValueError(
                f'a Gaussian in {dims} dimensions needs more than {dims} samples, got '
                f'{number}'
            )
        most = min(max_components, number // (dims + 1))
        fits = (
            mixture.GaussianMixture(
                components, reg_covar=_REG_COVAR, random_state=seed
            ).fit(samples)
            for components in range(1, most + 1)
        )
        best = min(fits, key=lambda fitted: fitted.bic(samples))
        return cls(best.weights_, best.means_, best.covariances_)

    def to_records(self) -> list[dict]:
        """Write the mixture as people read it.

        Returns:
            list[dict]: A record a Gaussian: ``weight``, ``mean``, ``std`` (standard
            deviations) and ``correlation``, with six decimals.
        """
        std = np.sqrt(np.diagonal(self.covariances, axis1=1, axis2=2))
        columns = dict(
            weight=self.weights,
            mean=self.means,
            std=std,
            correlation=self.covariances / (std[:, :, None] * std[:, None]),
        )
        return [
            {name: np.round(values[i], 6).tolist() for name, values in columns.items()}
            for i in range(len(self.weights))
        ]

    @classmethod
    def from_records(cls, records: list[dict]) -> GaussianMixture:
        """Read what :meth:`to_records` gave.

        Args:
            records (list[dict]): A record a Gaussian.

        Returns:
            GaussianMixture: The mixture.

        Raises:
            KeyError: If a record lacks something.
            TypeError: If one is no record.
            ValueError: If the values are no mixture.
        """
        weights, means, std, correlation = (
            np.array([record[name] for record in records], dtype=np.float64)
            for name in ('weight', 'mean', 'std', 'correlation')
        )
        spread = std[..., :, None] * std[..., None, :]
        return cls(weights, means, correlation * spread)
