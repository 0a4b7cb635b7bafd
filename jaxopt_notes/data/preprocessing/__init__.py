"""Preprocessing: transforms fitted to the training set, and applied to every set.

    standardizer = fit_standardizer(train_x)                # statistics of the training set only
    x = standardizer.apply(any_x)                           # and back: standardizer.inverse(x)

Each `fit_…` returns a record whose statistics are leaves, with `apply` and `inverse`. Fitting is pure, and
runs under `jit` and `vmap`. All take weights of samples, of which 0 leaves a sample out, as if it were not
there, and 2 counts it twice: so a transform is fitted inside each fold of a cross-validation,
`jax.vmap(lambda w: fit_pca(x, 10, weights=w))(folds.weights(n)[0])`, without copies of the data.

Which one? Standardizing serves most; where outliers are, the robust form, because one outlier squeezes all
others together under min-max, which is for numbers that have an interval by nature, such as pixels. None of
them changes the shape of a distribution: they are affine. PCA and whitening also turn the axes.
"""

from jaxopt_notes.data.preprocessing.min_max import MinMax, fit_min_max
from jaxopt_notes.data.preprocessing.pca import PCA, fit_pca
from jaxopt_notes.data.preprocessing.standardizing import (
    Standardizer,
    fit_channel_mean,
    fit_mean_image,
    fit_standardizer,
)
from jaxopt_notes.data.preprocessing.whitening import Whitening, fit_whitening

__all__ = [
    "PCA",
    "MinMax",
    "Standardizer",
    "Whitening",
    "fit_channel_mean",
    "fit_mean_image",
    "fit_min_max",
    "fit_pca",
    "fit_standardizer",
    "fit_whitening",
]
