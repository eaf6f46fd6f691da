"""From a text to its words, by the version of the rules that wrote a collection.

Rules are frozen once they are released, since a collection's terms depend on them: what is better
becomes the next version, and the old one stays as it is.
"""

from trivec.analysis._splitting import RULES, Splitter, WholeWord, splitter

__all__ = ["RULES", "Splitter", "WholeWord", "splitter"]
