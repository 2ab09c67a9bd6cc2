"""An ICP's target, made ready once so that thousands of leads can be held against it. Pure."""

import re
from collections.abc import Sequence

from leadflood.domain.features.rules.job_titles import title_similarity
from leadflood.domain.icp.schemas import Target

_WORD = re.compile(r"[^\W_]+")
_SMALL_WORDS = frozenset({"and", "of", "the", "services", "industry"})


class PreparedTarget:
    """What a lead is compared with; each method answers None where the ICP asks for nothing."""

    def __init__(self, target: Target) -> None:
        self._titles = target.titles
        self._countries = frozenset(code.upper() for code in target.countries)
        self._industries = tuple(_words(industry) for industry in target.industries)
        self._technologies = frozenset(map(squeeze, target.technologies)) - {""}
        self._least = target.company_size_min
        self._most = target.company_size_max

    def likeness_of(self, title: str) -> float | None:
        """Tell how near a title comes to the nearest wanted one, 0 to 1."""
        if not self._titles:
            return None
        return max(title_similarity(title, wanted) for wanted in self._titles)

    def wants_country(self, code: str) -> bool | None:
        """Tell whether a country is wanted."""
        return code.upper() in self._countries if self._countries else None

    def wants_industry(self, industry: str) -> bool | None:
        """Tell whether an industry is a wanted one, or names all words of it."""
        if not self._industries:
            return None
        words = _words(industry)
        return any(wanted <= words for wanted in self._industries if wanted)

    def wants_size(self, people: float) -> bool | None:
        """Tell whether a company size is in the range."""
        if self._least is None and self._most is None:
            return None
        above = self._least is None or people >= self._least
        return above and (self._most is None or people <= self._most)

    def shared_technologies(self, technologies: Sequence[str]) -> tuple[int, float] | None:
        """Tell how many of the wanted technologies are in use, and which share of them."""
        if not self._technologies:
            return None
        count = len(self._technologies & set(map(squeeze, technologies)))
        return count, round(count / len(self._technologies), 4)


def squeeze(name: str) -> str:
    """Write a product's name so that spelling does not matter: `Google_Tag Manager`."""
    return "".join(_WORD.findall(name.lower()))


def _words(text: str) -> frozenset[str]:
    return frozenset(_WORD.findall(text.lower())) - _SMALL_WORDS
