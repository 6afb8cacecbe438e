# SPDX-License-Identifier: Apache-2.0
import sys

import numpy as np
import pytest
from scipy.stats import multivariate_normal

from rmpe_plugin.ops import GaussianMixture


def two_gaussians():
    """A mixture of two overlapping Gaussians in two dimensions."""
    return GaussianMixture(
        weights=[0.3, 0.7],
        means=[[-1.0, 0.5], [1.0, 0.0]],
        covariances=[[[0.2, 0.1], [0.1, 0.3]], [[0.1, -0.05], [-0.05, 0.4]]],
    )


def test_log_prob_equals_scipy():
    mixture = two_gaussians()
    x = np.random.default_rng(0).normal(size=(3, 5, 2))
    density = sum(
        weight * multivariate_normal.pdf(x, mean, covariance)
        for weight, mean, covariance in zip(
            mixture.weights, mixture.means, mixture.covariances, strict=True
        )
    )
    np.testing.assert_allclose(mixture.log_prob(x), np.log(density), rtol=1e-12)
    # Far from the means, where the density is 0 in floating point.
    far = mixture.log_prob(np.array([100.0, 0.0]))
    assert np.isfinite(far)
    assert far < -1e4


@pytest.mark.parametrize('make_rng', [np.random.default_rng, np.random.RandomState])
def test_samples_have_moments_of_mixture(make_rng):
    mixture = two_gaussians()
    samples = mixture.sample((200, 250), make_rng(0))
    assert samples.shape == (200, 250, 2)
    flat = samples.reshape(-1, 2)
    mean = mixture.weights @ mixture.means
    np.testing.assert_allclose(flat.mean(axis=0), mean, atol=0.01)
    second = np.einsum(
        'c,cij->ij',
        mixture.weights,
        mixture.covariances + mixture.means[:, :, None] * mixture.means[:, None],
    )
    np.testing.assert_allclose(flat.T @ flat / len(flat), second, atol=0.02)
    np.testing.assert_array_equal(mixture.sample((200, 250), make_rng(0)), samples)


def test_samples_with_global_random_state():
    np.random.seed(3)  # noqa: NPY002
    samples = two_gaussians().sample((4,), np.random)
    np.testing.assert_array_equal(
        samples, two_gaussians().sample((4,), np.random.RandomState(3))
    )


def test_no_samples():
    assert two_gaussians().sample((0,), np.random.default_rng(0)).shape == (0, 2)


def test_fit_recovers_mixture_from_its_samples():
    mixture = two_gaussians()
    samples = mixture.sample((20000,), np.random.default_rng(0))
    fitted = GaussianMixture.fit(samples)
    order = np.argsort(fitted.weights)
    np.testing.assert_allclose(fitted.weights[order], mixture.weights, atol=0.01)
    np.testing.assert_allclose(fitted.means[order], mixture.means, atol=0.02)
    np.testing.assert_allclose(
        fitted.covariances[order], mixture.covariances, atol=0.02
    )


def test_fit_selects_one_component_for_one_gaussian():
    samples = np.random.default_rng(0).normal(size=(2000, 4))
    assert GaussianMixture.fit(samples, max_components=5).weights.tolist() == [1.0]


def test_fit_of_equal_samples_has_minimum_variance():
    fitted = GaussianMixture.fit(np.zeros((20, 4)), max_components=1)
    np.testing.assert_allclose(fitted.covariances[0], 1e-5 * np.eye(4))


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (dict(weights=[0.5, 0.6]), 'sum to 1'),
        (dict(weights=[0.0, 1.0]), 'above 0'),
        (dict(weights=[1.0]), r'must be \(C,\), \(C, D\) and \(C, D, D\), got \(1,\)'),
        (dict(weights=[], means=[], covariances=[]), r'must be \(C,\)'),
        (dict(means=[[0.0, np.nan], [0.0, 0.0]]), 'means must be finite'),
        (dict(covariances=[[[1.0, 2.0], [2.0, 1.0]]] * 2), 'positive definite'),
        (dict(covariances=[[[1.0, 0.5], [0.0, 1.0]]] * 2), 'symmetric'),
    ],
)
def test_raises_on_invalid_mixture(change, message):
    values = {
        name: getattr(two_gaussians(), name)
        for name in ('weights', 'means', 'covariances')
    }
    with pytest.raises(ValueError, match=message):
        GaussianMixture(**{**values, **change})


def test_raises_on_too_few_samples():
    with pytest.raises(ValueError, match='needs more than 4 samples, got 4'):
        GaussianMixture.fit(np.zeros((4, 4)))


def test_only_fit_needs_scikit_learn(monkeypatch):
    monkeypatch.setitem(sys.modules, 'sklearn', None)
    assert two_gaussians().sample((2,), np.random.default_rng(0)).shape == (2, 2)
    with pytest.raises(ImportError, match='sklearn'):
        GaussianMixture.fit(np.zeros((10, 4)))
