"""A test set that opens once.

A score that has influenced a choice is a validation score. So the test set stays sealed while
hyperparameters are chosen, and is opened once for the final score. This is the one object of the
library with a memory. It is not a pytree and cannot be copied, pickled or passed to a compiled function:
there is no way in but `open`.
"""

from typing import Any, NoReturn

from jaxopt_notes.dtypes import Tree


class SealedTestSet:
    """A test set that can be opened once.

    Arguments:
        data: a pair `(x, y)`.

    Raises:
        RuntimeError: `open` is called a second time. TypeError: it is copied or pickled.

    Example:
        >>> sealed = SealedTestSet(([1.0, 2.0], [0, 1]))
        >>> sealed
        SealedTestSet(sealed)
        >>> x, y = sealed.open()
        >>> sealed.open()
        Traceback (most recent call last):
        RuntimeError: SealedTestSet has been opened already, ...

    Source: Goodfellow, Bengio & Courville 2016, section 5.3: the test set is used once.
    """

    def __init__(self, data: Tree):
        self._data = data
        self._opened = False

    @property
    def opened(self) -> bool:
        """Whether it has been opened."""
        return self._opened

    def open(self) -> Tree:
        """The data, once."""
        if self._opened:
            raise RuntimeError(
                "SealedTestSet has been opened already, expected a single opening, for the final score: "
                "choose between models by their validation scores, or split the data anew with another key."
            )
        data, self._data, self._opened = self._data, None, True
        return data

    def __reduce_ex__(self, protocol: Any) -> NoReturn:
        raise TypeError(
            "SealedTestSet cannot be copied or pickled, a copy could be opened again: pass it on."
        )

    def __repr__(self) -> str:
        return f"SealedTestSet({'opened' if self._opened else 'sealed'})"
