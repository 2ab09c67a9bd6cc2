"""Synonyms: other words for what the forms of a draft know, so that each form is written once.

A clause is reduced before it is judged: a synonym becomes the word the forms know, a set phrase
its shorter form, and what only softens or orders falls away. What weakens or widens a statement
about the reader (`only`, `too`, `still`, `again`) is never left out.
"""

from collections.abc import Iterator, Sequence

from leadflood.domain.drafting.rules.vocabulary import word_set

_SYNONYMS = {
    synonym: word
    for word, synonyms in {
        "about": "regarding concerning roughly approximately circa",
        "also": "additionally furthermore moreover besides",
        "answer": "pointer hint tip steer",
        "arrange": "organise organize",
        "but": "however nevertheless nonetheless",
        "call": "phonecall videocall teleconference",
        "colleague": "coworker teammate",
        "colleagues": "coworkers teammates peers",
        "convenient": "workable",
        "demo": "walkthrough demonstration presentation tour",
        "details": "particulars material materials",
        "discuss": "debate",
        "find": "consider",
        "get": "receive obtain",
        "grateful": "thankful obliged appreciative",
        "happy": "delighted thrilled",
        "have": "spare got",
        "helpful": "beneficial",
        "helps": "assists supports",
        "idea": "suggestion proposal",
        "interest": "appeal",
        "interesting": "intriguing",
        "learn": "discover",
        "message": "letter",
        "overview": "brochure outline flyer factsheet document pdf deck",
        "perhaps": "probably likely presumably potentially possibly apparently conceivably",
        "relevant": "pertinent",
        "reply": "respond response",
        "right": "correct proper",
        "show": "demonstrate present",
        "simple": "straightforward",
        "so": "therefore hence thus accordingly consequently",
        "suitable": "fitting",
        "talk": "converse",
        "thought": "figured supposed reckoned assumed",
        "thoughts": "impressions reactions",
        "what": "whatever whichever",
        "while": "whilst",
        "write": "e-mail",
    }.items()
    for synonym in synonyms.split()
}
_DROPPED = word_set(
    """
    typically usually generally commonly normally mostly frequently rather currently
    presently ever
    """
)
"""Adverbs that soften what is said, or ask for no more than the rest does."""
_INSERTED = word_set("therefore thus hence also then")
_MODALS = word_set("may might could would can should")
_TITLES = word_set("ms mr mrs mx dr prof professor")
_PHRASES: dict[tuple[str, ...], tuple[str, ...]] = {
    tuple(phrase.split()): tuple(short.split())
    for phrase, short in (
        ("as well", ""),
        ("e mail", "email"),
        ("keep this short", "be brief"),
        ("keep it short", "be brief"),
        ("keep this brief", "be brief"),
        ("keep it brief", "be brief"),
        ("get straight to the point", "be brief"),
        ("come straight to the point", "be brief"),
        ("get to the point", "be brief"),
        ("out of the blue", ""),
        ("hit reply", "reply"),
        ("go through", "discuss"),
        ("go over", "discuss"),
        ("talk through", "discuss"),
        ("set up", "arrange"),
        ("of your choice", "that suits you"),
        ("of your choosing", "that suits you"),
        ("at your convenience", "whenever it suits you"),
        ("over the phone", "by phone"),
        ("on the phone", "by phone"),
        ("in writing", "by email"),
        ("send over", "send"),
        ("so much", "very much"),
        ("in case", "if"),
        ("provided that", "if"),
        ("thinking about", "considering"),
        ("thinking of", "considering"),
        ("due to", "because of"),
        ("for that reason", "so"),
        ("for this reason", "so"),
        ("that is why", "so"),
        ("that's why", "so"),
        ("this is why", "so"),
        ("allow me to", "let me"),
        ("in action", ""),
        ("help me a lot", "help me"),
        ("let you know about", "tell you about"),
        ("comes with", "with"),
        ("if i called", "if i call"),
        ("answer your questions", "answer any questions"),
        ("answer all your questions", "answer any questions"),
        ("such as", "like"),
        ("turning to", "writing to"),
        ("i'll get back to you", "i'll reply"),
        ("i will get back to you", "i'll reply"),
        ("i want to", "i would like to"),
        ("we want to", "we would like to"),
        ("given that", "since"),
        ("seeing that", "since"),
        ("considering that", "since"),
        ("as you are", "since you are"),
        ("as you're", "since you are"),
        ("looks after", "handles"),
        ("look after", "handle"),
        ("deals with", "handles"),
        ("deal with", "handle"),
        ("takes care of", "handles"),
        ("take care of", "handle"),
        ("is in charge of", "handles"),
        ("is responsible for", "handles"),
        ("our company", "we"),
        ("our firm", "we"),
        ("our team", "we"),
        ("our experts", "we"),
        ("my company", "we"),
        ("my team", "we"),
        ("my colleagues and i", "we"),
        ("our service", "our offer"),
        ("our solution", "our offer"),
        ("our product", "our offer"),
        ("our tool", "our offer"),
        ("our platform", "our offer"),
        ("our software", "our offer"),
        ("our system", "our offer"),
        ("the idea is simple", "our idea is simple"),
        ("at the moment", "now"),
        ("right now", "now"),
        ("these days", "now"),
    )
}
_LONGEST = max(map(len, _PHRASES))


def reduce_words(tokens: Sequence[str], name: str) -> list[str]:
    """Return a text in the words that the forms know; `name` marks a person's name."""
    return list(_reduced(tokens, name))


def _reduced(tokens: Sequence[str], name: str) -> Iterator[str]:
    index = 0
    while index < len(tokens):
        token = tokens[index]
        length = next(
            (
                size
                for size in range(_LONGEST, 1, -1)
                if tuple(tokens[index : index + size]) in _PHRASES
            ),
            0,
        )
        if length:
            yield from _PHRASES[tuple(tokens[index : index + length])]
        elif (
            token not in _DROPPED
            and not _is_inserted(tokens, index)
            and not _is_title(tokens, index, name)
        ):
            yield _SYNONYMS.get(token, token)
        index += length or 1


def _is_inserted(tokens: Sequence[str], index: int) -> bool:
    """Whether a word joins clauses from the middle of one (`it may therefore be`)."""
    return tokens[index] in _INSERTED and index > 0 and tokens[index - 1] in _MODALS


def _is_title(tokens: Sequence[str], index: int, name: str) -> bool:
    return tokens[index] in _TITLES and tokens[index + 1 : index + 2] == [name]
