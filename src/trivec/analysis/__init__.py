"""From a text to its words, by the version of the rules that wrote a collection.

Rules are frozen once they are released, since a collection's terms depend on them: what is better
becomes the next version, and the old one stays as it is.
"""

from __future__ import annotations

from collections.abc import Sequence

from trivec.analysis.splitting import RULES, Splitter, UserWord, WholeWord

__all__ = ["RULES", "Splitter", "WholeWord", "splitter"]


def splitter(rules: int, user_words: Sequence[UserWord]) -> Splitter:
    """Return the splitter of a version in ``RULES``; it loads a dictionary."""
    if rules == 1:
        from trivec.analysis.rules_1 import FirstRules

        return FirstRules(user_words)
    from trivec.analysis.rules_2 import SecondRules

    return SecondRules(user_words)
