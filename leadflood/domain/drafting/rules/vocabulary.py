"""The words a message may use without proof, and those it may never use.

English; in another language a written draft is refused and the template speaks.
"""


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


FUNCTION_WORDS = _words(
    """
    a an and are as at be been but by can could do does for from had has have he her his how i if
    in into is it its me my of on or our she so than that the their them then there these they this
    to too us was we were what when where which while who why will with would you your yours
    i'm i'd i'll i've we're we'd we'll we've you're you'd you've it's that's here's let's
    """
)
"""Words that say nothing by themselves. No negation: it turns a proven claim around."""

CLAIM_WORDS = _words(
    """
    work works working role position title team teams company business
    organisation organization based located run runs running use uses using employ employs employee
    employees people person colleagues staff about around roughly approximately industry sector
    market space size city country headquarters founded year since technology technologies stack
    tools tool department see saw noticed notice know learned named called responsible
    """
)
"""Words that join facts into a sentence; each is neutral about the person and the company."""

CONNECTIVE_WORDS = _words(
    """
    hi hello hey dear good morning afternoon day thanks thank best kind regards cheers sincerely
    greetings warm warmly please ask asking reach reaching out write writing wrote contact thought
    think wondering wonder wondered curious question quick short brief call chat talk conversation
    speak discuss exchange minutes minute week time open interested interest interesting useful
    helpful help relevant worth make makes sense sound sounds know hear happy glad love like would
    share more details detail learn look looking forward reply let get touch introduce introducing
    myself name note message sense idea may might should here just also problem worries
    feel free whether any some soon next this fit topic hope well find available connect suit
    """
)
"""Words of greeting, asking and parting; they may stand in a sentence without a claim."""

FORBIDDEN_PHRASES = (
    "act now",
    "as discussed",
    "as an ai",
    "as promised",
    "assistant:",
    "click here",
    "congratulations",
    "developer message",
    "disregard",
    "following up on",
    "free money",
    "guarantee",
    "i am an ai",
    "ignore all",
    "ignore any",
    "ignore previous",
    "ignore the",
    "language model",
    "last chance",
    "limited time",
    "lorem ipsum",
    "new instructions",
    "opt out",
    "our last call",
    "our last meeting",
    "password",
    "per my last",
    "previous instructions",
    "prompt",
    "risk-free",
    "system:",
    "unsubscribe",
    "urgent",
    "wire transfer",
    "you have won",
    "you must",
    "100% free",
)
"""Pressure, false acquaintance, talk of machines, and what belongs to our own footer."""

INSTRUCTION_WORDS = _words(
    "ignore disregard instruction instructions chatgpt jailbreak pretend http https www"
)
"""Words that no name, title, town or tool contains: a value with one is kept out of messages."""

SENTENCE_WORDS = _words(
    "i we you your are were must please say tell write reply answer that should will"
)
"""Words of which a name or title holds one by chance; two make it a sentence, kept out too."""

NEGATIONS = _words("not no never without neither nor")
"""Words that turn a meaning around: only in a sentence that speaks of no fact."""
