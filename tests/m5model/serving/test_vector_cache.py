import numpy as np

from m5model.serving.vector_cache import ENTRY_BYTES, Kept, VectorCache

MEGABYTE = 1 << 20


def _kept(number: int, dimensions: int = 250) -> Kept:
    return Kept(np.full(dimensions, number, np.float32), 3, False)


def test_the_entries_that_were_used_least_recently_go_first() -> None:
    cache = VectorCache(1)
    fits = MEGABYTE // (ENTRY_BYTES + 4 * 4 + 1_000)
    for number in range(fits):
        cache.put(f"{number:4}", _kept(number))
    assert cache.get("   0") is not None
    cache.put("last", _kept(-1))
    assert len(cache) == fits
    assert cache.get("   0") is not None and cache.get("   1") is None and cache.get("last") is not None


def test_a_cache_of_nothing_and_an_entry_larger_than_the_cache_keep_nothing() -> None:
    nothing, small = VectorCache(0), VectorCache(1)
    nothing.put("a", _kept(1))
    small.put("a" * MEGABYTE, _kept(1))
    assert len(nothing) == len(small) == 0


def test_token_ids_and_texts_are_different_keys() -> None:
    cache = VectorCache(1)
    cache.put((1, 2), _kept(1))
    cache.put("12", _kept(2))
    cache.put("12", _kept(3))
    assert [cache.get(key).vector_D[0] for key in ((1, 2), "12")] == [1, 2]
