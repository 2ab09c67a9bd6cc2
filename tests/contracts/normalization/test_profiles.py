import pytest
from leadflood.contracts.normalization.profiles import normalize_linkedin


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("linkedin.com/in/janedoe", "https://www.linkedin.com/in/janedoe"),
        ("http://www.linkedin.com/in/JaneDoe/?trk=x", "https://www.linkedin.com/in/janedoe"),
        ("https://de.linkedin.com/in/j%C3%BCrgen", "https://www.linkedin.com/in/jürgen"),
        ("https://linkedin.com/company/acme/about", "https://www.linkedin.com/company/acme"),
        ("https://evil-linkedin.com/in/x", None),
        ("https://linkedin.com.evil.example/in/x", None),
        ("https://www.linkedin.com/feed", None),
        ("http://[", None),
    ],
)
def test_a_profile_has_one_address(text: str, url: str | None) -> None:
    assert normalize_linkedin(text) == url
