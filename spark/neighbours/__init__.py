"""Approximate nearest neighbours of unit vectors within a locale, by an inverted file.

Every locale gets its own cells (``train_cells``): a spherical k-means on a sample picked by hash of the key. Every vector lies
in its nearest cell and visits its nearest ``probes`` cells, and within a cell the search is exact. With as many probes as cells
the whole search is. Inverted file: Jegou et al., "Product quantization for nearest neighbor search", 2011 (without the product
quantizer).
"""

from spark.neighbours.search import find_neighbours
from spark.neighbours.settings import NeighbourSettings
from spark.neighbours.space import SpaceRows, measure_space

__all__ = ["NeighbourSettings", "SpaceRows", "find_neighbours", "measure_space"]
