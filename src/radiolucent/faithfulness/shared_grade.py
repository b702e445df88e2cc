"""Grades from what the verification has measured already: no pass of their own.

A map whose own region was hidden is graded by that test. Any other map of the finding is a hypothesis about the same
words: it is graded by how much of the place it points at first is shared with the region that was verified, at most
*weak*, and *not shown* where no region could be verified at all.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from radiolucent.attribution.types import AttributionMap, RegionTest
from radiolucent.faithfulness.grade_notes import graded, untested
from radiolucent.faithfulness.grade_rule import Rule, Signals
from radiolucent.faithfulness.grade_signals import Allowed, main_part, overlap, pointed_at, signals_of
from radiolucent.faithfulness.types import MapGrade, MapKey


def shared_grades(
    maps: Mapping[MapKey, AttributionMap],
    language: str,
    *,
    allowed: Mapping[str, Allowed] | None = None,
    rule: Rule | None = None,
) -> dict[MapKey, MapGrade]:
    """A grade for every map, from the region tests that the maps of the same finding carry.

    Parameters
    ----------
    allowed
        Finding's id -> the anatomy allowed for it; without an entry it is not known.
    rule
        The packaged one where None.
    """
    known = {} if allowed is None else allowed
    of_finding: dict[str, list[AttributionMap]] = {}
    for (_, finding), made in maps.items():
        of_finding.setdefault(finding, []).append(made)
    grades = {}
    for key, made in maps.items():
        found = shared_signals(made, of_finding[key[1]], known.get(key[1], ()))
        grades[key] = untested(found, language) if isinstance(found, str) else graded(*found, language, rule=rule)
    return grades


def shared_signals(
    made: AttributionMap, maps: Sequence[AttributionMap], allowed: Allowed = ()
) -> tuple[RegionTest, Signals] | str:
    """The test that a map is graded by and its signals; or why there is none, a key of the notes.

    Parameters
    ----------
    maps
        Of the same finding; their tests, and what they say of the tested region, are used.
    allowed
        The anatomy allowed for the finding; empty where not known.
    """
    tests = [test for one in maps for test in one.tests]
    own = made.tests[0] if made.tests else next((test for test in tests if test.proposer == made.method), None)
    test = next((test for test in tests if test.verified), None) if own is None else own
    if test is None:
        return "nothing"
    others = [one for one in maps if one is not made and one.method != test.proposer and not one.tests]
    if own is not None:
        return own, signals_of(own, others, allowed=allowed)
    region = pointed_at(made, test.region.shape[1])
    if not region.any():
        return "no region"
    shared = overlap(main_part(made, region), test.region)
    return test, signals_of(test, others, allowed=allowed, overlap=shared)
