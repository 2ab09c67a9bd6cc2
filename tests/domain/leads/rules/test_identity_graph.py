from itertools import permutations
from uuid import UUID

import pytest
from hypothesis import given, strategies as st
from leadflood.domain.leads.rules.identity_graph import (
    MOST_BEARERS,
    Bearer,
    IdentityGraph,
    are_told_apart,
    make_bearer,
)
from leadflood.domain.leads.schemas.identity import IdentityKey

ND = "name_domain:john smith|big.example"


def a_bearer(number: int, *keys: str, name: str = "", company: str = "", apart: int = 0) -> Bearer:
    parts = [key.rpartition(":") if "|" not in key else key.partition(":") for key in keys]
    return make_bearer(
        UUID(int=number),
        [IdentityKey(kind, value) for kind, _, value in parts],
        full_name=name,
        company_name=company,
        kept_apart=[UUID(int=apart)] if apart else [],
    )


def groups(*bearers: Bearer) -> set[frozenset[int]]:
    graph = IdentityGraph()
    graph.place_all(bearers)
    return {frozenset(member.int for member in graph.find(each.id).members) for each in bearers}


def test_a_strong_key_joins_also_where_another_differs() -> None:
    one = a_bearer(1, "email:a@b.example", "linkedin:x", name="Anna Alpha")
    other = a_bearer(2, "email:a@b.example", "linkedin:y", name="Anna Beta")

    assert groups(one, other) == {frozenset({1, 2})}


def test_one_mailbox_of_two_names_is_two_people_s_and_each_is_found_again() -> None:
    people = [
        a_bearer(1, "email:s@b.example", name="John Smith"),
        a_bearer(2, "email:s@b.example", name="Jane Smith"),
        a_bearer(3, "email:s@b.example", name="Jane Smith"),
        a_bearer(4, "email:s@b.example"),
    ]

    assert groups(*people) == {frozenset({1}), frozenset({2, 3}), frozenset({4})}


@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_a_weak_key_of_two_people_joins_nobody_in_any_order(order: tuple[int, ...]) -> None:
    people = [
        a_bearer(1, "email:j1@big.example", ND),
        a_bearer(2, "email:j2@big.example", ND),
        a_bearer(3, ND),
    ]

    assert groups(*(people[index] for index in order)) == {
        frozenset({1}),
        frozenset({2}),
        frozenset({3}),
    }


def test_a_weak_key_joins_what_nothing_tells_apart() -> None:
    by_email = a_bearer(1, "email:j1@big.example", ND)
    by_profile = a_bearer(2, "linkedin:j", ND)

    assert groups(by_email, by_profile, a_bearer(3, ND)) == {frozenset({1, 2, 3})}


def test_those_of_whom_only_a_shared_name_is_known_are_one() -> None:
    known = [a_bearer(1, "email:j1@big.example", ND), a_bearer(2, "email:j2@big.example", ND)]

    assert groups(*known, a_bearer(3, ND), a_bearer(4, ND)) == {
        frozenset({1}),
        frozenset({2}),
        frozenset({3, 4}),
    }


def test_a_person_s_word_keeps_two_apart() -> None:
    assert (
        len(groups(a_bearer(1, "email:a@b.example", apart=2), a_bearer(2, "email:a@b.example")))
        == 2
    )
    assert len(groups(a_bearer(1, ND, apart=2), a_bearer(2, ND))) == 2


def test_a_part_of_a_name_joins_nobody() -> None:
    part = "part_domain:anna|big.example"

    assert len(groups(a_bearer(1, part), a_bearer(2, part))) == 2


def test_a_row_that_says_the_same_is_its_lead_s_whatever_its_other_keys_say() -> None:
    anna = a_bearer(1, "email:s@b.example", "row:a#1", name="Anna Alpha")
    others = [a_bearer(number, "email:s@b.example", name="X Y") for number in range(2, 300)]
    again = a_bearer(500, "email:s@b.example", "row:a#1", name="Anna Alpha")

    assert frozenset({1, 500}) in groups(*others, anna, again)


def test_a_role_s_mailbox_joins_those_of_one_name_only() -> None:
    people = [
        a_bearer(1, "mailbox:info@s.example", "name_mailbox:anna|info@s.example", name="Anna A"),
        a_bearer(2, "mailbox:info@s.example", "name_mailbox:bert|info@s.example", name="Bert B"),
        a_bearer(3, "mailbox:info@s.example"),
    ]

    assert len(groups(*people)) == 3


def test_a_domain_of_two_names_or_cities_is_two_organisations() -> None:
    oslo = a_bearer(1, "company:c.example", "organisation:cafe|city=oslo", company="Cafe")
    bergen = a_bearer(2, "company:c.example", "organisation:cafe|city=bergen", company="Cafe")
    other = a_bearer(3, "company:c.example", company="Bakery")
    again = a_bearer(4, "company:c.example", "organisation:cafe|city=oslo", company="Cafe AS")

    assert groups(oslo, bergen, other, again) == {
        frozenset({1, 4}),
        frozenset({2}),
        frozenset({3}),
    }


def test_a_key_of_ten_thousand_leads_is_looked_at_in_part() -> None:
    graph = IdentityGraph()
    for number in range(2_000):
        graph.add(a_bearer(number, "mailbox:info@s.example", name=f"Person {number}"))
    graph.place(a_bearer(5_000, "mailbox:info@s.example", name="Person New"))

    assert graph.joins == []
    assert MOST_BEARERS < 2_000


KEYS = st.sampled_from(["email:1", "email:2", "linkedin:1", "linkedin:2", ND, "name_phone:j|1"])
NAMES = st.sampled_from(["", "Anna Alpha", "Bert Beta"])


@given(st.lists(st.tuples(st.sets(KEYS), NAMES), max_size=8))
def test_nobody_is_joined_by_weak_keys_alone_with_whom_they_are_told_apart(
    given_people: list[tuple[set[str], str]],
) -> None:
    people = [
        a_bearer(number, *sorted(keys), name=name)
        for number, (keys, name) in enumerate(given_people, 1)
    ]
    graph = IdentityGraph()
    graph.place_all(people)

    for join in graph.joins:
        assert graph.find(join.first_id).id == graph.find(join.second_id).id
    for one in people:
        for other in people:
            is_joined = graph.find(one.id).id == graph.find(other.id).id
            if is_joined and one.names and other.names:
                assert one.names == other.names
    if len(graph.joins) == 1 and graph.joins[0].kind.startswith("name_"):
        joined_ids = {graph.joins[0].first_id, graph.joins[0].second_id}
        first, second = (person for person in people if person.id in joined_ids)
        assert not are_told_apart(first, second)
