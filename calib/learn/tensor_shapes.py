"""Shapes of torch tensors, checked before torch broadcasts them: (b, 1) beside (b,) is b² rows, and no error."""

from torch import Tensor

from routecal.calib.errors import ShapeMismatch, TooFewExamples


def check_rows(**tensors: Tensor) -> None:
    """Refuse tensors that are not one value for each of the same rows, all (b,).

    Raises:
        ShapeMismatch: one is not one-dimensional, or two differ in length; names both shapes.
        TooFewExamples: they are empty: the mean over no rows is NaN.

    >>> import torch
    >>> check_rows(p=torch.zeros(3), y=torch.zeros(3))
    >>> check_rows(p=torch.zeros(3, 1), y=torch.zeros(3))
    Traceback (most recent call last):
    ...
    routecal.calib.errors.ShapeMismatch: p has shape (3, 1), y has shape (3,); give one value per row, (b,)
    """
    shapes = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    if any(len(shape) != 1 for shape in shapes.values()) or len(set(shapes.values())) > 1:
        raise ShapeMismatch(shapes, "one value per row, (b,)")
    if not all(shape[0] for shape in shapes.values()):
        raise TooFewExamples(0, 1)


def check_draws(**tensors: Tensor) -> None:
    """Refuse tensors that are not one value for each of the same draws, all (k, b) with k >= 2 and b >= 1.

    Raises:
        ShapeMismatch: as `check_rows`.
    """
    shapes = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    first = next(iter(shapes.values()))
    if any(shape != first for shape in shapes.values()) or len(first) != 2 or first[0] < 2 or first[1] < 1:
        raise ShapeMismatch(shapes, "at least two draws per row, (k, b)")


def check_against(**tensors: Tensor) -> None:
    """Refuse two tensors of which the second is neither of the first's shape nor that of one draw of it.

    For p (k, b) that is y (k, b) or (b,); a single value () goes with everything.

    Raises:
        ShapeMismatch: names both shapes.
    """
    shapes = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    (first, many), (second, one) = shapes.items()
    if len(one) > len(many) or many[len(many) - len(one) :] != one:
        raise ShapeMismatch(shapes, f"{second} the shape of {first}, or of its last dimensions")
