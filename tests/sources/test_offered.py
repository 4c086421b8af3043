"""What was offered is remembered as it lay there, and forgotten once it is gone."""

from __future__ import annotations

from array import array

from hypothesis import given
from hypothesis import strategies as st

from auroramon.sources.offered import Offered, digest_of
from auroramon.types import FileStat

FILES = st.builds(FileStat, st.sampled_from("abcdef"), st.integers(0, 3), st.integers(0, 3))


@given(st.lists(FILES), st.lists(FILES), st.lists(FILES), FILES)
def test_it_holds_what_was_listed_last_and_what_was_offered_since(
    before: list[FileStat], listed: list[FileStat], since: list[FileStat], asked: FileStat
) -> None:
    offered = Offered()
    offered.keep(array("q", map(digest_of, before)))
    offered.keep(array("q", map(digest_of, listed)))
    for file in since:
        offered.add(file)
    assert (asked in offered) == (asked in listed or asked in since)
    offered.keep(array("q"))
    assert (asked in offered) == (asked in since)
    assert len(offered) == len(set(since))


def test_a_file_that_was_rewritten_is_another() -> None:
    offered = Offered()
    offered.add(FileStat("a", 1, 1))
    assert FileStat("a", 1, 1, "any camera") in offered
    assert FileStat("a", 2, 1) not in offered
    assert FileStat("a", 1, 2) not in offered
