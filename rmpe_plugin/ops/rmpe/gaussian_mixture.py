# SPDX-License-Identifier: Apache-2.0
"""Gaussian mixtures: fitted with scikit-learn, sampled and evaluated with numpy."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

# Added to every variance in a fit, so that a Gaussian of equal samples has a positive
# variance. It corresponds to a standard deviation of 0.003.
_REG_COVAR = 1e-5


@dataclass(frozen=True, eq=False)
class GaussianMixture:
    """A mixture of C Gaussians in D dimensions.

    Args:
        weights (np.ndarray): Weight of each Gaussian (C,), above 0, with sum 1.
        means (np.ndarray): Means (C, D).
        covariances (np.ndarray): Covariances (C, D, D), positive definite.

    Raises:
        ValueError: If the shapes do not match or a value is invalid.

    Example:
        >>> mixture = GaussianMixture([1.0], [[5.0, -5.0]], [np.eye(2)])
        >>> samples = mixture.sample((1000,), np.random.default_rng(0))
        >>> samples.mean(axis=0).round(1)
        array([ 5., -5.])
        >>> float(mixture.log_prob([5.0, -5.0]).round(3))
        -1.838
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
    def _cholesky(self) -> np.ndarray:
        """Cholesky factors of the covariances (C, D, D)."""
        return np.linalg.cholesky(self.covariances)

    @cached_property
    def _cumulative_weights(self) -> np.ndarray:
        """Cumulative weights (C,), the last one exactly 1."""
        cumulative = self.weights.cumsum()
        return cumulative / cumulative[-1]

    def sample(self, shape: tuple[int, ...], rng) -> np.ndarray:
        """Sample from the mixture.

        Args:
            shape (tuple[int, ...]): Shape of the samples.
            rng: A numpy ``Generator`` or ``RandomState``, or the module ``np.random``.

        Returns:
            np.ndarray: Samples (*shape, D).
        """
        component = np.searchsorted(
            self._cumulative_weights, rng.uniform(size=shape), side='right'
        )
        noise = rng.standard_normal((*shape, self.means.shape[1], 1))
        return self.means[component] + (self._cholesky[component] @ noise)[..., 0]

    def log_prob(self, x: ArrayLike) -> np.ndarray:
        """Compute the log density.

        Args:
            x (np.ndarray): Points (..., D).

        Returns:
            np.ndarray: Log density (...).
        """
        difference = np.asarray(x)[..., None, :] - self.means  # (..., C, D)
        whitened = np.einsum(
            'cde,...ce->...cd', np.linalg.inv(self._cholesky), difference
        )
        log_det = np.log(np.diagonal(self._cholesky, axis1=1, axis2=2)).sum(axis=1)
        dims = self.means.shape[1]
        weighted = (
            np.log(self.weights)
            - 0.5 * (whitened**2).sum(axis=-1)
            - log_det
            - 0.5 * dims * np.log(2 * np.pi)
        )  # (..., C)
        return np.logaddexp.reduce(weighted, axis=-1, keepdims=True)[..., 0]

    @classmethod
    def fit(
        cls, samples: np.ndarray, max_components: int = 8, seed: int = 0
    ) -> GaussianMixture:
        """Fit a mixture by expectation maximisation.

        The number of Gaussians is chosen by the Bayesian information criterion.

        Args:
            samples (np.ndarray): Samples (N, D), N above D.
            max_components (int): Maximum number of Gaussians. Defaults to 8.
            seed (int): Seed of the initialisation. Defaults to 0.

        Returns:
            GaussianMixture: The fitted mixture.

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
        max_components = min(max_components, number // (dims + 1))
        fits = (
            mixture.GaussianMixture(
                components, reg_covar=_REG_COVAR, random_state=seed
            ).fit(samples)
            for components in range(1, max_components + 1)
        )
        best = min(fits, key=lambda fitted: fitted.bic(samples))
        return cls(best.weights_, best.means_, best.covariances_)

    def to_records(self) -> list[dict[str, Any]]:
        """Convert the mixture to JSON types in a readable form.

        Returns:
            list[dict]: One record per Gaussian with ``weight``, ``mean``, ``std``
            (standard deviations) and ``correlation``, rounded to six decimals.

        Example:
            >>> covariance = [[0.04, 0.01], [0.01, 0.25]]
            >>> record = GaussianMixture([1.0], [[0, 0]], [covariance]).to_records()[0]
            >>> record['std'], record['correlation']
            ([0.2, 0.5], [[1.0, 0.1], [0.1, 1.0]])
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
    def from_records(cls, records: list[dict[str, Any]]) -> GaussianMixture:
        """Build a mixture from the result of :meth:`to_records`.

        Args:
            records (list[dict]): One record per Gaussian.

        Returns:
            GaussianMixture: The mixture.

        Raises:
            KeyError: If a key of a record is missing.
            TypeError: If a record is not a dict.
            ValueError: If the shapes do not match or a value is invalid.
        """
        weights, means, std, correlation = (
            np.array([record[name] for record in records], dtype=np.float64)
            for name in ('weight', 'mean', 'std', 'correlation')
        )
        scale = std[..., :, None] * std[..., None, :]
        return cls(weights, means, correlation * scale)
