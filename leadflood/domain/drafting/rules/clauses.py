"""Clauses: a sentence parted into what is judged by itself."""

from collections.abc import Sequence

from leadflood.domain.drafting.rules.lexicon import Lexicon
from leadflood.domain.drafting.rules.marking import mark_words
from leadflood.domain.drafting.rules.synonyms import reduce_words
from leadflood.domain.drafting.rules.tokens import (
    BEFORE_SUBJECT,
    BREAKS,
    FACT,
    NAME,
    Passage,
    is_fact,
    own_word,
    passage,
    split_words,
    stem,
)
from leadflood.domain.drafting.rules.vocabulary import YOUR_OWN, word_set

_PARTING = word_set("but because while although though so which who where since")
_SUBJECTS = word_set(
    """
    i we you your it this they he she there i'm i'd i'll i've we'd we'll we're we've you're
    you'd you'll you've they're it's COMPANY
    """
)
_COMPLEMENT_OF = word_set(
    """
    far see saw notice noticed learned read understand think thought hope believe know hear found
    gather
    """
)
_MAY = word_set("may might could would can should")
_HELPING = _MAY | word_set("will also only simply just then")
_YOUR_THING = 2


def split_clauses(text: str, lexicon: Lexicon, cited: frozenset[int]) -> list[list[str]]:
    """Return the clauses of a sentence, each a row of words and markers."""
    tokens = _with_subjects(
        reduce_words(mark_words(split_words(text), lexicon, cited), NAME), lexicon
    )
    clauses: list[list[str]] = [[]]
    for index, token in enumerate(tokens):
        following = tokens[index + 1 : index + 4]
        if token in BREAKS or _is_parting(token, following, clauses[-1]):
            clauses.append([])
        if token not in BREAKS:
            clauses[-1].append(token)
    return [clause for clause in clauses if clause]


def _with_subjects(tokens: Sequence[str], lexicon: Lexicon) -> list[str]:
    """Return the words; a passage takes in its subject there (`you could` before `pay monthly`)."""
    joined: list[str] = []
    for token in tokens:
        position = token.position - 1 if isinstance(token, Passage) else -1
        cut = len(joined)
        while cut and joined[cut - 1] in _HELPING:
            cut -= 1
        subject = own_word(joined[cut - 1]) if cut else "we"
        if position >= 0 and subject != "we" and stem(subject) == lexicon.offer[position]:
            joined[cut - 1 :] = [passage(position)]
        else:
            joined.append(token)
    return joined


def _is_role(clause: Sequence[str]) -> bool:
    return clause[:1] == ["as"] and any(map(is_fact, clause))


def _is_parting(word: str, ahead: Sequence[str], clause: Sequence[str]) -> bool:
    """Whether a word begins another clause."""
    following = ahead[0] if ahead else ""
    if not clause:
        return False
    if word in _PARTING:
        return not following.startswith(FACT)
    if word in BEFORE_SUBJECT:
        is_thing = len(ahead) == _YOUR_THING and ahead[1] in YOUR_OWN
        is_listed = following == "your" and (clause[-1] == "you" or is_thing)
        return following in _SUBJECTS and clause[-1] not in _COMPLEMENT_OF and not is_listed
    return word == "you" and following in _MAY and _is_role(clause)
