import pytest
from leadflood.contracts.normalization.profiles import (
    normalize_company_linkedin,
    normalize_linkedin,
    read_linkedin,
)

WWW = "https://www.linkedin.com"


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("linkedin.com/in/janedoe", "/in/janedoe"),
        ("http://www.linkedin.com/in/JaneDoe/?trk=x", "/in/janedoe"),
        ("https://www.linkedin.com/in/janedoe/de", "/in/janedoe"),
        ("https://www.linkedin.com/mwlite/in/janedoe", "/in/janedoe"),
        ("https://de.linkedin.com/in/j%C3%BCrgen", "/in/jürgen"),
        ("https://www.linkedin.com/in/ACoAAB1xYz_-9", "/in/ACoAAB1xYz_-9"),
        ("https://www.linkedin.com/profile/view?id=ACoAAB1xYz", "/in/ACoAAB1xYz"),
        ("linkedin.com/sales/lead/ACwAAAbC,NAME_SEARCH,x1", "/sales/lead/ACwAAAbC"),
        ("linkedin.com/sales/people/ACwAAAbC,name,x1", "/sales/people/ACwAAAbC"),
        ("linkedin.com/pub/John-Smith/12/345/678", "/pub/john-smith/12/345/678"),
        ("linkedin.com/pub/john-smith/1/2a/3B", "/pub/john-smith/1/2a/3b"),
        ("linkedin.com/pub/john-smith", "/pub/john-smith"),
    ],
)
def test_a_person_has_one_address(text: str, path: str) -> None:
    assert normalize_linkedin(text) == f"{WWW}{path}"
    assert normalize_company_linkedin(text) is None


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("https://linkedin.com/company/Acme/about", "/company/acme"),
        ("https://www.linkedin.com/company-beta/1234/", "/company/1234"),
        ("https://www.linkedin.com/sales/company/1234", "/company/1234"),
        ("https://uk.linkedin.com/school/mit", "/school/mit"),
        ("https://www.linkedin.com/showcase/acme-cloud", "/showcase/acme-cloud"),
    ],
)
def test_a_page_of_a_company_is_no_persons(text: str, path: str) -> None:
    assert normalize_company_linkedin(text) == f"{WWW}{path}"
    assert normalize_linkedin(text) is None


@pytest.mark.parametrize(
    "text",
    [
        "https://evil-linkedin.com/in/x",
        "https://linkedin.com.evil.example/in/x",
        "https://www.linkedin.com/feed",
        "https://www.linkedin.com/in/",
        "https://www.linkedin.com/pub/dir/John/Smith",
        "https://www.linkedin.com/groups/123",
        "http://[",
    ],
)
def test_another_page_is_nobodys(text: str) -> None:
    assert normalize_linkedin(text) is None
    assert normalize_company_linkedin(text) is None


@pytest.mark.parametrize(
    "address",
    [
        "linkedin.com/in/ada-berg",
        "www.linkedin.com/in/ada-berg/",
        "http://linkedin.com/in/a1",
        "https://www.linkedin.com/in/de",
        "https://www.linkedin.com/in/in",
    ],
)
def test_the_short_way_of_plain_profiles_agrees_with_the_whole_one(address: str) -> None:
    page = read_linkedin(address)

    assert page is not None
    assert page == read_linkedin(f" {address}")
