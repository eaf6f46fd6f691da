"""The library's messages in the words of the command line: its options for Python's arguments."""

from __future__ import annotations

import re

__all__ = ["in_options"]

_IN_PYTHON = "which the command line cannot do; open it in Python"

PHRASES = (
    ("leave them out, or index with IndexConfig(arms=...)", "name others with --arms"),
    (
        "open it without them and call add_arm(), or index",
        "run: trivec add-arm PLACE ARM, or index",
    ),
    ("open it with adopt=True", "adopt it in Python first: HybridIndex.open(), adopt"),
    ("open it with tenant=...", f"name a tenant, {_IN_PYTHON}"),
    (" and call add_arm()", ", and run: trivec add-arm PLACE ARM"),
    ("query is blank; give it", "question is blank; give it"),
    ("and its hits have query_cut=True. ", ""),
    ("call add_arm(", "run trivec add-arm ("),
    ("(root=..., --root)", "(--root)"),
    ("give api_key, or set the variable", "set the variable"),
    (
        ", or give the client a longer timeout and the store a RetryPolicy with longer deadlines",
        "",
    ),
    ("(local_files_only=True)", "(HF_HUB_OFFLINE)"),
    ("generate() writes them, as does the command: ", "write them with: "),
)
"""What is said otherwise, as it stands."""

OPTIONS = {
    "arms": "--arms",
    "base_url": "--base-url",
    "collection": "--collection",
    "colbert": "--colbert",
    "concurrency": "--concurrency",
    "create": "--create",
    "device": "--device",
    "encoding": "--encoding",
    "epochs": "--epochs",
    "filter": "--filter",
    "force": "--force",
    "fusion": "--fusion",
    "ids": "--id",
    "k": "-k",
    "late_chunking": "--late-chunking",
    "max_length": "--max-length",
    "max_tokens": "--chunk-tokens",
    "mix": "--mix",
    "mixed_precision": "--mixed-precision",
    "overlap": "--overlap",
    "port": "--port",
    "overwrite": "--overwrite",
    "part": "--part",
    "passage_instruction": "--passage-instruction",
    "pooling": "--pooling",
    "precision": "--precision",
    "precisions": "--precision",
    "query_instruction": "--query-instruction",
    "report_to": "--report-to",
    "root": "--root",
    "seed": "--seed",
    "source": "--source",
    "text_columns": "--text-column",
    "trainer": "--trainer",
}
"""Options by the argument of Python that they set."""

_ARGUMENT = re.compile(
    rf"(?<![\w.=('?&-])({'|'.join(OPTIONS)})=(\.\.\.|'[^']*'|\"[^\"]*\"|[\[(][^\])]*[\])]|[\w.:/-]+)"
)


def in_options(message: str) -> str:
    """Return a message with the options of the command line in place of Python's arguments."""
    for said, instead in PHRASES:
        message = message.replace(said, instead)
    return _ARGUMENT.sub(_option, message)


def _option(match: re.Match[str]) -> str:
    option, value = OPTIONS[match[1]], match[2]
    if value in {"True", "..."}:
        return option
    return f"{option} {value.strip(chr(39) + chr(34))}"
