"""Augmentation: batches made anew at each step, on the device, as part of the compiled training step.

An augmentation is a record that is called with a key, inputs and targets, and returns inputs and targets:

    augment = compose(random_flip(), random_crop(padding=4), mixup(0.2, classes=10))
    x, y = augment(key, x, y)
    trainer = Trainer(model, optimizer, loss, augmentation=augment)         # in training only

Images are NHWC, every example draws its own numbers, shapes and dtypes stay (whole numbers are rounded).
Strengths are leaves, so a population may have a strength for each member, and at strength 0 the batch
comes back as it was, to the bit. Under each record stands the plain function that it applies to drawn
numbers: `rotate`, `crop`, `adjust_contrast`, `erase`.

What mixes examples (`mixup`, `cutmix`) makes soft targets, probabilities [B, C], which cross-entropy takes
as it takes labels. Examples of weight 0, which only fill a batch, are never mixed into others. Any
function `(key, x, y) -> (x, y)` serves in place of a record. `AUGMENTATIONS` lists the records by name.
"""

# ruff: noqa: F403

# One line for each file: the names in its `__all__` are public, and its factories are in `AUGMENTATIONS`.
from jaxopt_notes.data.augmentation.affine import *
from jaxopt_notes.data.augmentation.augmentation import *
from jaxopt_notes.data.augmentation.color_jitter import *
from jaxopt_notes.data.augmentation.compose import *
from jaxopt_notes.data.augmentation.crop import *
from jaxopt_notes.data.augmentation.cutmix import *
from jaxopt_notes.data.augmentation.cutout import *
from jaxopt_notes.data.augmentation.flip import *
from jaxopt_notes.data.augmentation.mixup import *
from jaxopt_notes.data.augmentation.noise import *
from jaxopt_notes.data.augmentation.pca_jitter import *
from jaxopt_notes.data.augmentation.random_affine import *
from jaxopt_notes.data.augmentation.random_erasing import *
from jaxopt_notes.data.augmentation.resize import *
from jaxopt_notes.data.augmentation.sample_pairing import *
from jaxopt_notes.registry import public_names as _public_names
from jaxopt_notes.registry import returning as _returning

AUGMENTATIONS = _returning(globals(), "__call__")
"""The augmentations by name."""

__all__ = ["AUGMENTATIONS", *_public_names(__name__, globals())]
