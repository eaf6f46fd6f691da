"""What a model said of what it wrote: without its thoughts, whatever marks them off.

Every reader of a reply goes through here: answers, keywords, questions, the chat models of the
frameworks. Time is linear in the reply, whether it comes whole or in pieces.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import regex

from trivec._runtime.checks import is_iterable, shown
from trivec._runtime.plain import own_text
from trivec._runtime.typed import checked
from trivec.types import ChatReply, Ending

__all__ = ["Listener", "ending_of", "reply_of", "said", "text_of"]

LONGEST_BEGINNING = 48
"""Characters of a reply that show whether it begins as thoughts do."""

_NAMES = (
    r"think(?:ing)?|thoughts?|seed:think|antml:thinking|inner_monologue|scratchpad"
    r"|chain[_-]of[_-]thought|cot|reason(?:ing)?|reflection|analysis"
)
_REASON = regex.compile(r"reason|reflection|analysis", regex.IGNORECASE)
_ANSWER = r"(?:final_)?answer|response|output|conclusion|solution"
_TURN = r"<\|(?:start_header_id|header_start|start_of_role|im_start|turn)\|?>|<start_of_turn>"

# Tags that thoughts stand between, the special tokens of chat templates that do the same, and the
# channels of gpt-oss. A special token of another turn ends the reply; one of its own is no text.
# Every repetition is bounded: a tag is at most some 120 characters long.
_MARK = regex.compile(
    rf"""
      <[ ]? (?P<opened>{_NAMES}) (?:\s[^<>]{{0,80}})? >
    | <[ ]?/[ ]? (?P<closed>{_NAMES}) [ ]?>
    | (?P<opened> <details\s[^<>]{{0,40}}type=["']?reasoning[^<>]{{0,80}}> )
    | (?P<closed> </details> )
    | (?P<open> \[THINK\] | ◁think▷ | <\|begin_of_thought\|> | <\|START_THINKING\|> | <unused94>
        | <\|channel>thought | <\|inner_prefix\|> )
    | (?P<close> \[/THINK\] | ◁/think▷ | <\|end_of_thought\|> | <\|END_THINKING\|> | <unused95>
        | <channel\|> | <\|inner_suffix\|> )
    | (?P<answer> <(?:{_ANSWER})> )
    | (?P<answered> </(?:{_ANSWER})> )
    | (?P<header> <\|(?:start|channel)\|> )
    | (?P<message> <\|message\|> )
    | (?P<own> <\|(?:begin|end)_of_(?:solution|box)\|> | <\|(?:START|END)_(?:RESPONSE|TEXT)\|>
        | <[|｜](?:assistant|assistant_start|START_OF_TURN_TOKEN|CHATBOT_TOKEN|begin_of_text)[|｜]>
        | (?:{_TURN})[ ]?(?:assistant|model) | <\|im_assistant\|>assistant
        | <\|(?:end_header_id|header_end|end_of_role|im_middle)\|> | <｜begin▁of▁sentence｜> )
    | (?P<struck> <s> )
    | (?P<end> <\|(?:end|return|call|im_end|eot_id|eom_id|eot|endoftext|end_of_text)\|>
        | <\|(?:END_OF_TURN_TOKEN|USER_TOKEN|im_user|observation|role_end|assistant_end)\|>
        | <[|｜]user[|｜]> | <｜end▁of▁sentence｜> | <end_of_turn> | <turn\|> | <eos>
        | (?:{_TURN})[ ]?(?:user|system|tool|ipython) | </s> | \[e~\[ )
    """,
    regex.VERBOSE | regex.IGNORECASE,
)
# gpt-oss where the server has taken the special tokens out and left the names of the channels, and
# Granite, which names its thought in words
_NAMED_THOUGHT = regex.compile(
    r"\s{0,20}(?:(?:analysis|commentary)(?=\s{0,3}[A-Z\p{Han}\p{Hiragana}\p{Katakana}\p{Hangul}])"
    r"|Here(?: is|['’]s) my thought process:)"
)
_NAMED_ANSWER = regex.compile(r"assistantfinal|Here(?: is|['’]s) my response:")

# How a thought begins whose opening tag stands in the chat template, so that only the closing one
# is written. A reply that begins so is not shown before that tag or the end: an answer of the same
# beginning only comes a little later.
_DELIBERATION = regex.compile(
    r"""\s{0,20}(?:
      (?: okay | ok | alright | hmm+ | wait | well ) [,.!:…\s]
    | let(?:'s|’s|\sme|\sus)\b
    | (?: i | we ) (?: ['’](?:ll|m) | \s(?:am|are|need|should|must|have\sto|will|think|see) )\b
    | (?: so | now | first(?:ly)? | maybe | perhaps ),?\s(?:the\suser|i\b|we\b|let|the\squestion)
    | the\s(?:user|question|passages?)\b
    | (?: thinking | thought | thoughts | reasoning | checking | looking | analy[sz]ing )\b
    | (?: to\sanswer | passage\s\d )
    | 好的 | 好， | 嗯 | 首先 | 用户 | 用戶 | 让我 | 讓我
    | 我(?: 需要 | 應該 | 应该 | 们需要 | 們需要 | 先 ) | 先看
    | まず | ユーザー | 먼저 | 사용자
    )""",
    regex.VERBOSE | regex.IGNORECASE,
)

_ENDS_A_SENTENCE = frozenset(".!?…。！？]")
_GOES_ON = frozenset(" \t,.;:)\"'”’，。、；：）」』")
_CLOSING = frozenset(("closed", "close"))
_LONGEST_LINE = 80
_LONGEST_BETWEEN = 12
"""Characters between a pair of tags that a sentence mentions: "<think> and </think>"."""

_ENDINGS: Mapping[str, Ending] = {
    **dict.fromkeys(("length", "max_tokens", "model_length", "max_output_tokens"), "length"),
    **dict.fromkeys(("max_length", "token_limit"), "length"),
    **dict.fromkeys(("content_filter", "content_filtered", "safety", "refusal"), "content_filter"),
    **dict.fromkeys(("recitation", "blocklist", "prohibited_content", "spii"), "content_filter"),
    **dict.fromkeys(("guardrail_intervened", "sensitive", "error_toxic"), "content_filter"),
    **dict.fromkeys(("tool_calls", "tool_call", "tool_use", "function_call"), "tool_calls"),
    **dict.fromkeys(("malformed_function_call", "unexpected_tool_call"), "tool_calls"),
    **dict.fromkeys(("error", "network_error", "insufficient_system_resource"), "error"),
}
"""What OpenAI, Anthropic, Gemini, Bedrock, Mistral, Cohere, GLM, DeepSeek and OpenRouter say."""

_ENDING_WORDS: Sequence[tuple[Ending, regex.Pattern[str]]] = (
    (
        "length",
        regex.compile(r"max|length|context|truncat|tokens?_limit|limit_reached|error_limit"),
    ),
    (
        "content_filter",
        regex.compile(r"filter|safety|block|prohibit|censor|sensitive|moderat|guard"),
    ),
    ("tool_calls", regex.compile(r"tool|function")),
    ("error", regex.compile(r"error|fail|abort|cancel|time_?(?:out|limit)|resource|unavailable")),
)
"""What the words of other servers mean, the first that is found."""

_WHAT_IS_SAID = frozenset(("text", "output_text", "input_text", "refusal"))


@checked
def said(text: str) -> str:
    """Return what a model said of a whole reply; see ``Listener``."""
    listener = Listener()
    listener.feed(text)
    listener.finish()
    return listener.text


@checked
def text_of(content: Any) -> str:
    """Return the text of a message's content: a text, or blocks of which some are thoughts.

    Args:
        content: a text, None, or a list of texts and blocks, dicts or objects with a ``type``, as
            Mistral, Anthropic and OpenAI's responses have them. Blocks of other types than text
            (``thinking``, ``reasoning``, ``tool_use``, images) say nothing.
    """
    if isinstance(content, str):
        return content
    if isinstance(content, Mapping) or not is_iterable(content):
        content = () if content is None else (content,)
    return "".join(map(_block_text, content))


@checked
def reply_of(
    text: str, ended: Ending | None, read: int | None = None, wrote: int | None = None
) -> ChatReply:
    """Return a reply with the tokens read and written, and what ended it."""
    is_cut = ended == "length"
    return ChatReply(text, read, wrote, truncated=is_cut, ended=None if is_cut else ended)


@checked
def ending_of(reason: object) -> Ending | None:
    """Return what ended a reply, of what a server calls it; None for a usual end."""
    said = getattr(reason, "value", reason)
    word = (own_text(said) if isinstance(said, str | int) else shown(said)).lower()
    if word in _ENDINGS:
        return _ENDINGS[word]
    return next((ending for ending, words in _ENDING_WORDS if words.search(word[:80])), None)


class Listener:
    r"""Tells what a model says from what it thinks, as it writes.

    Thoughts stand in ``<think>``, ``<thinking>``, ``<reasoning>`` and their like, which may be cut
    across pieces or never closed; before a closing tag alone; or in gpt-oss's channels other than
    ``final``. A special token of a chat template ends the reply or is left out. A tag behind a
    backtick is text, and so is one in mid-sentence that no thought follows. What is fed comes out
    as soon as it is known to be said.

    Args:
        thinks_first: True where the chat template opens the thought: nothing is let through before
            the closing tag, or the end of the reply. None: where the reply begins as thoughts do.

    Attributes:
        text: what has been said so far.
        lone_close: whether a thought was closed that had not been opened.

    Examples:
        >>> listener = Listener()
        >>> [listener.feed(piece) for piece in ("<thi", "nk>Is it 3?</th", "ink>It is ", "3.")]
        ['', '', 'It is ', '3.']
        >>> listener.finish()
        ''
    """

    @checked
    def __init__(self, *, thinks_first: bool | None = None) -> None:
        self._pending = ""  # what may be the beginning of a mark
        self._before = ""  # the character before it
        self._begun = False
        self._inside: str | None = None  # the kind of thought that goes on
        self._doubtful: list[str] | None = None  # of a tag in mid-sentence: the thought as written
        self._line = ""  # what was said last
        self._header: list[str] | None = None  # gpt-oss: what stands before <|message|>
        self._over = False
        self._wrapped = False
        self._fresh = False  # only white space came since the thought: it goes
        self._struck = False  # HTML's <s> came, so that </s> is no special token
        self._silent = True  # nothing but white space was said at all
        self._said: list[str] = []
        self._unshown: list[str] = []
        self._holds = thinks_first
        self._beginning = ""
        self.lone_close = False

    @property
    def text(self) -> str:
        """What has been said so far."""
        return "".join(self._said)

    @checked
    def feed(self, piece: str) -> str:
        """Take the next piece of the reply; return what is now known to be said."""
        self._pending += piece
        self._read(final=False)
        return "" if self._is_held() else self._released()

    def trust(self) -> None:
        """Hold nothing back any more: the server tells thoughts apart itself."""
        self._holds = False

    def finish(self) -> str:
        """Take the end of the reply; return what was still held back."""
        self._read(final=True)
        self._mention()
        return self._released()

    def _read(self, *, final: bool) -> None:
        """Take the marks out of what is pending, up to what may be the beginning of one."""
        text, start, at = self._pending, 0, 0
        if not self._begun and not self._begin(text, final=final):
            return
        while True:
            mark = _NAMED_ANSWER if self._inside == "bare" else _MARK
            match = mark.search(text, at, partial=not final)
            end = len(text) if match is None else match.start()
            if match is None or match.partial:
                self._take(text[start:end])
                break
            if self._inside is None and _quotes(text[end - 1 : end] or self._before, match[0]):
                at = match.end()
                continue
            self._take(text[start:end])
            following = text[match.end() : match.end() + 1]
            if match.lastgroup in _CLOSING and not following and not final:
                break  # what follows tells a tag from the mention of one
            start = at = match.end()
            if not self._follow(match, following):
                self._take(match[0])
        self._before = text[end - 1 : end] or self._before
        self._pending = text[end:]

    def _begin(self, text: str, *, final: bool) -> bool:
        """See whether the reply begins with the bare name of a thought; return False to wait."""
        match = _NAMED_THOUGHT.match(text, partial=not final)
        if match is not None and match.partial:
            return False
        self._begun = True
        if match is not None and (not final or _NAMED_ANSWER.search(text)):
            self._inside = "bare"
        return True

    def _follow(self, match: regex.Match[str], following: str) -> bool:
        """Go where a mark leads; return False where it is nothing but text."""
        kind = str(match.lastgroup)
        if kind in ("header", "message", "end"):
            self._mention()
        if self._doubtful is not None:
            self._doubtful.append(match[0])
        if kind in ("opened", "open"):
            self._open(match[0], "token" if kind == "open" else _family(match[0]))
        elif kind in _CLOSING:
            return self._close("token" if kind == "close" else _family(match[0]), following)
        elif kind in ("answer", "answered"):
            return self._unwrap(opens=kind == "answer")
        elif self._inside is None and (kind == "struck" or (self._struck and match[0] == "</s>")):
            self._struck = True
            return False
        elif kind == "own":
            self._fresh |= self._silent
        elif self._inside in ("bare", "channel") or self._inside is None:
            self._change_channel(kind, match[0])
        return True

    def _open(self, tag: str, family: str) -> None:
        if self._inside is None:
            self._inside = family
            self._doubtful = [tag] if self._is_in_sentence() and not self._over else None

    def _close(self, family: str, following: str) -> bool:
        if self._inside is not None:
            if self._inside == family:
                if self._doubtful is not None and _is_between("".join(self._doubtful[1:-1])):
                    self._mention()
                else:
                    self._inside, self._fresh, self._doubtful = None, True, None
            return True
        if family in ("reason", "details"):  # such names are common in other texts
            return False
        if self._is_in_sentence() and following in _GOES_ON and not self._is_held():
            return False
        self.lone_close = True
        self._forget()
        self._holds = False
        return True

    def _settle(self) -> None:
        """Decide at the end of its line on a tag in mid-sentence: a thought would begin anew."""
        if "".join(self._doubtful[1:] if self._doubtful else ()).partition("\n")[0].strip():
            self._mention()
        else:
            self._doubtful = None

    def _mention(self) -> None:
        """Say what seemed to be a thought: a sentence mentions its tag."""
        if self._doubtful is not None:
            text, self._inside, self._doubtful = "".join(self._doubtful), None, None
            self._take(text)

    def _is_in_sentence(self) -> bool:
        line = self._line.rpartition("\n")[2].rstrip()
        return bool(line) and line[-1] not in _ENDS_A_SENTENCE

    def _unwrap(self, *, opens: bool) -> bool:
        if opens and self._silent:
            self._wrapped = self._fresh = True
            return True
        return self._wrapped and not opens

    def _change_channel(self, kind: str, mark: str) -> None:
        """Follow the special tokens of gpt-oss."""
        if self._inside == "bare":
            self._inside = None
            self._forget()
        elif kind == "header":
            self._inside = None
            self._header = [] if self._header is None else self._header
            self._header.append(mark.lower())
        elif kind == "message":
            _, named, channel = "".join(self._header or ()).partition("<|channel|>")
            self._header, self._over = None, False
            if named and not channel.strip().startswith("final"):
                self._inside = "channel"
            else:
                self._forget()
        elif kind == "end":
            self._inside, self._over = None, True

    def _take(self, text: str) -> None:
        if self._header is not None:
            self._header.append(text)
        elif self._doubtful is not None:
            self._doubtful.append(text)
            if "\n" in text:
                self._settle()
        elif self._inside is None and not self._over:
            text = text.lstrip() if self._fresh else text
            if text:
                self._fresh = False
                self._silent &= text.isspace()
                self._line = (self._line + text)[-_LONGEST_LINE:]
                self._said.append(text)
                self._unshown.append(text)

    def _forget(self) -> None:
        """Take back what seemed to be said: it was a thought, or stood before the answer."""
        self._said.clear()
        self._unshown.clear()
        self._line = ""
        self._fresh = self._silent = True

    def _is_held(self) -> bool:
        """Say whether a closing tag may still come that makes all of this a thought."""
        if self._holds is None and self._unshown:
            self._beginning += "".join(self._unshown)[len(self._beginning) : LONGEST_BEGINNING]
            match = _DELIBERATION.match(self._beginning, partial=True)
            if match is not None and match.partial:
                return len(self._beginning) < LONGEST_BEGINNING
            self._holds = match is not None and not match.partial
        return bool(self._holds)

    def _released(self) -> str:
        text = "".join(self._unshown)
        self._unshown.clear()
        return text


def _is_between(text: str) -> bool:
    """Say whether a text may stand between two tags that a sentence mentions."""
    return len(text) <= _LONGEST_BETWEEN and "\n" not in text


def _quotes(before: str, mark: str) -> bool:
    """Say whether a mark is spoken of: behind a backtick; ``</s>`` behind a blank, too."""
    return before == "`" or (mark == "</s>" and before.isspace())


def _family(tag: str) -> str:
    if tag.lower().startswith(("<details", "</details")):
        return "details"
    return "reason" if _REASON.search(tag) else "think"


def _block_text(block: Any) -> str:
    if isinstance(block, str):
        return block
    kind = _held(block, "type") or "text"
    text = _held(block, "refusal" if kind == "refusal" else "text")
    if isinstance(text, Mapping):  # OpenAI's assistants: {"value": ..., "annotations": [...]}
        text = text.get("value")
    return text if kind in _WHAT_IS_SAID and isinstance(text, str) else ""


def _held(block: Any, name: str) -> Any:
    return block.get(name) if isinstance(block, Mapping) else getattr(block, name, None)
