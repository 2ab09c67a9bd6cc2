"""Who lives in the pretend world."""

import time

from leadflood.sandbox.population import STAFF_COUNT, Population, fold, misspell


def test_the_same_seed_bears_the_same_people(population: Population) -> None:
    again = Population(7, 2_000)
    other = Population(8, 2_000)

    assert again.people == population.people
    assert other.people != population.people


def test_a_world_of_25000_takes_well_under_two_seconds() -> None:
    started = time.process_time()  # other load does not count

    people = Population(7, 25_000).people

    assert len(people) == 25_000
    assert time.process_time() - started < 2


def test_domains_and_addresses_belong_to_one_owner_each() -> None:
    population = Population(7, 25_000)
    domains = [company.domain for company in population.companies]
    emails = [person.email for person in population.people if person.email]

    assert len(set(domains)) == len(domains)
    assert len(set(emails)) == len(emails)
    assert all(domain.endswith(".example") for domain in domains)


def test_everyone_is_found_by_address_profile_mobile_and_name(population: Population) -> None:
    for person in population.people[:400]:
        company = population.company_of(person)
        namesakes = [p for p in population.staff_of(company) if fold(p.name) == fold(person.name)]

        assert not person.email or population.find_by_email(person.email.upper()) is person
        assert not person.personal_email or (
            population.find_by_email(person.personal_email) is person
        )
        url = f"https://linkedin.com/in/{person.linkedin_slug}/"
        assert not person.linkedin_slug or population.find_by_profile(url) is person
        assert not person.mobile or population.find_by_mobile(person.mobile) is person
        assert population.find_by_name(person.name.upper(), company) in namesakes


def test_nobody_is_found_by_words_that_are_nobodys(population: Population) -> None:
    assert population.find_by_email("nobody@nowhere.example") is None
    assert population.find_by_email("not an address") is None
    assert population.find_by_profile("https://linkedin.com/in/x-zz") is None
    assert population.find_by_profile("") is None
    assert population.find_by_mobile("+49") is None
    assert population.find_by_name("Nobody Here", population.companies[0]) is None


def test_the_world_has_gaps_doubles_and_contradictions(population: Population) -> None:
    people = population.people

    assert 0.05 < sum(not person.email for person in people) / len(people) < 0.15
    assert any(person.has_twin for person in people)
    assert any(person.is_contradicted for person in people)
    assert any(person.is_misspelled for person in people)
    assert any(person.is_claimed for person in people)
    assert any(company.is_catch_all for company in population.companies)
    assert len(population.staff_of(population.companies[3])) == STAFF_COUNT


def test_a_typical_profile_is_met_by_some_and_not_by_most() -> None:
    population = Population(7, 25_000)
    industries = {"robotics", "logistics", "manufacturing", "textiles", "food"}
    employed = [
        (person, population.company_of(person))
        for person in population.people
        if person.title.words
        in {"VP Operations", "Head of Procurement", "Operations Director", "COO"}
        and person.country.code in {"DE", "NL", "GB", "US", "SE"}
        and 50 <= population.company_of(person).employee_count <= 1_000
    ]
    good = [
        person
        for person, company in employed
        if company.industry in industries
        and person.apollo_has_email
        and person.email_status == "verified"
        and {tech.uid for tech in company.technologies} & {"sap", "shopify", "salesforce"}
    ]

    assert len(employed) >= 3_000
    assert 0.10 < len(good) / len(employed) < 0.40


def test_a_misspelled_word_differs_by_two_letters() -> None:
    assert misspell("Okafor") == "Okfaor"
    assert sorted(misspell("Elin")) == sorted("Elin")
