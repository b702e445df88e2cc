"""The map's grid under the masks that it is held against: see :mod:`radiolucent.attribution.cells`."""

from radiolucent.attribution.cells import cell_means, coverage, in_picture

__all__ = ["cell_means", "coverage", "in_picture"]
