"""An ICP's target prepared once, so that thousands of leads can be compared with it."""

import re
from collections.abc import Sequence

from leadflood.domain.features.rules.job_titles import title_similarity
from leadflood.domain.icp.schemas import Target

_WORD = re.compile(r"[^\W_]+")
_SMALL_WORDS = frozenset({"and", "of", "the", "services", "industry"})


class PreparedTarget:
    """A target; each method returns None where the target asks for nothing of that kind.

    `steps` is what a lead costs to compare with it, in comparisons of some microseconds.
    """

    def __init__(self, target: Target) -> None:
        self.steps = 1 + len(target.titles) + len(target.industries)
        self._titles = target.titles
        self._countries = frozenset(code.upper() for code in target.countries)
        self._industries = tuple(_words(industry) for industry in target.industries)
        self._technologies = frozenset(map(normalize_product, target.technologies)) - {""}
        self._min_size = target.company_size_min
        self._max_size = target.company_size_max

    def title_similarity(self, title: str) -> float | None:
        """Return how similar a title is to the most similar one of the target, 0 to 1."""
        if not self._titles:
            return None
        return max(title_similarity(title, target_title) for target_title in self._titles)

    def has_country(self, code: str) -> bool | None:
        """Whether a country is in the target."""
        return code.upper() in self._countries if self._countries else None

    def has_industry(self, industry: str) -> bool | None:
        """Whether an industry holds all words of one in the target."""
        if not self._industries:
            return None
        words = _words(industry)
        return any(target_words <= words for target_words in self._industries if target_words)

    def has_size(self, people: float) -> bool | None:
        """Whether a company size is in the range of the target."""
        if self._min_size is None and self._max_size is None:
            return None
        is_large_enough = self._min_size is None or people >= self._min_size
        return is_large_enough and (self._max_size is None or people <= self._max_size)

    def shared_technologies(self, technologies: Sequence[str]) -> tuple[int, float] | None:
        """Return how many technologies of the target are in use, and which share of them."""
        if not self._technologies:
            return None
        count = len(self._technologies & set(map(normalize_product, technologies)))
        return count, round(count / len(self._technologies), 4)


def normalize_product(name: str) -> str:
    """Write a product's name so that spelling does not matter: `Google_Tag Manager`."""
    return "".join(_WORD.findall(name.lower()))


def _words(text: str) -> frozenset[str]:
    return frozenset(_WORD.findall(text.lower())) - _SMALL_WORDS
