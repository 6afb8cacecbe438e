# SPDX-License-Identifier: Apache-2.0
import sys

import numpy as np
import pytest
from scipy.stats import multivariate_normal

from rmpe_plugin.ops import GaussianMixture


def known():
    """Two Gaussians in two dimensions that overlap a little."""
    return GaussianMixture(
        weights=[0.3, 0.7],
        means=[[-1.0, 0.5], [1.0, 0.0]],
        covariances=[[[0.2, 0.1], [0.1, 0.3]], [[0.1, -0.05], [-0.05, 0.4]]],
    )


def test_log_prob_is_the_sum_of_scipys_densities():
    mixture = known()
    x = np.random.default_rng(0).normal(size=(3, 5, 2))
    density = sum(
        weight * multivariate_normal.pdf(x, mean, covariance)
        for weight, mean, covariance in zip(
            mixture.weights, mixture.means, mixture.covariances, strict=True
        )
    )
    np.testing.assert_allclose(mixture.log_prob(x), np.log(density), rtol=1e-12)
    # far away, where the densities themselves are 0 in floating point
    far = mixture.log_prob(np.array([100.0, 0.0]))
    assert np.isfinite(far)
    assert far < -1e4


@pytest.mark.parametrize(
    'source', [np.random.default_rng, np.random.RandomState], ids=['new', 'old']
)
def test_samples_have_the_mixtures_moments(source):
    mixture = known()
    samples = mixture.sample((200, 250), source(0))
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
    np.testing.assert_array_equal(mixture.sample((200, 250), source(0)), samples)


def test_global_randomness_serves_too():
    np.random.seed(3)  # noqa: NPY002
    samples = known().sample((4,), np.random)
    np.testing.assert_array_equal(
        samples, known().sample((4,), np.random.RandomState(3))
    )


def test_no_samples():
    assert known().sample((0,), np.random.default_rng(0)).shape == (0, 2)


def test_fit_recovers_a_known_mixture():
    mixture = known()
    samples = mixture.sample((20000,), np.random.default_rng(0))
    fitted = GaussianMixture.fit(samples)
    order = np.argsort(fitted.weights)
    np.testing.assert_allclose(fitted.weights[order], mixture.weights, atol=0.01)
    np.testing.assert_allclose(fitted.means[order], mixture.means, atol=0.02)
    np.testing.assert_allclose(
        fitted.covariances[order], mixture.covariances, atol=0.02
    )


def test_one_gaussian_is_not_split():
    samples = np.random.default_rng(0).normal(size=(2000, 4))
    assert GaussianMixture.fit(samples, max_components=5).weights.tolist() == [1.0]


def test_equal_samples_do_not_collapse():
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
def test_what_is_no_mixture(change, message):
    values = {
        name: getattr(known(), name) for name in ('weights', 'means', 'covariances')
    }
    with pytest.raises(ValueError, match=message):
        GaussianMixture(**{**values, **change})


def test_too_few_samples():
    with pytest.raises(ValueError, match='needs more than 4 samples, got 4'):
        GaussianMixture.fit(np.zeros((4, 4)))


def test_only_fitting_needs_scikit_learn(monkeypatch):
    monkeypatch.setitem(sys.modules, 'sklearn', None)
    assert known().sample((2,), np.random.default_rng(0)).shape == (2, 2)
    with pytest.raises(ImportError, match='sklearn'):
        GaussianMixture.fit(np.zeros((10, 4)))
