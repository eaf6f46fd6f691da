"""What a model said of what it wrote."""

from __future__ import annotations

from itertools import pairwise
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trivec.chat.listening import Listener, ending_of, said, text_of

HARMONY = (
    "<|channel|>analysis<|message|>Is it [2]?<|end|><|start|>assistant<|channel|>final<|message|>"
)

REPLIES = {
    "<think>Is it [2]?</think>\n\nIt is [1].": "It is [1].",
    "<THINK>Is it?</Think>It is.": "It is.",
    "<think>never ends": "",
    "\n<think>\n</think>\n\nIt is.": "\nIt is.",
    "<thinking level='high'>Is it?</thinking>It is.": "It is.",
    "<thought>Is it?</thought> It is.": "It is.",
    "<reasoning>Is it?</reasoning>\nIt is.": "It is.",
    "<analysis>Is it?</analysis>It is.": "It is.",
    "<seed:think>Is it?</seed:think>It is.": "It is.",
    "[THINK]Is it?[/THINK]It is.": "It is.",
    "◁think▷Is it?◁/think▷It is.": "It is.",
    "<|begin_of_thought|>Is it?<|end_of_thought|><|begin_of_solution|>It is.<|end_of_solution|>": (
        "It is."
    ),
    "<|START_THINKING|>Is it?<|END_THINKING|><|START_RESPONSE|>It is.<|END_RESPONSE|>": "It is.",
    "<think>Is it?</think><answer>It is.</answer>": "It is.",
    "It is. <think>Or not?</think>It is so.": "It is. It is so.",
    "<think>Is it <think>?</think> Or so?</think>It is.": "It is.",
    "<think><reasoning>Is it?</reasoning>?</think>It is.": "It is.",
    f"{HARMONY}It is [1].<|return|>": "It is [1].",
    f"<|start|>assistant{HARMONY}It is [1].": "It is [1].",
    "<|channel|>commentary to=functions.f <|constrain|>json<|message|>{}<|call|>": "",
    "<|channel|>analysis<|message|>Is it cut": "",
    "It is.<|im_end|>\n<|im_start|>user": "It is.",
    "Qwen writes `<think>` and `</think>` around it [1].": (
        "Qwen writes `<think>` and `</think>` around it [1]."
    ),
    "The root element ends with </analysis>, as </reasoning> does.": (
        "The root element ends with </analysis>, as </reasoning> does."
    ),
    "a < b, c > d, <b>x</b>, x[0], [T": "a < b, c > d, <b>x</b>, x[0], [T",
    "  kept as it is \n": "  kept as it is \n",
    "Here is my thought process:\nIs it [2]?\n\nHere is my response:\nIt is.": "It is.",
    "analysis The user asks [2].\n\nassistantfinal It is.": "It is.",
    "analysis用户问 [2]。assistantfinal是。": "是。",
    "analysisIs it?assistantcommentaryHm.assistantfinalIt is.": "It is.",
    "analysis of data [1]": "analysis of data [1]",
    '<details type="reasoning" done="true"><summary>Thought</summary>Is it?</details>\nIt is.': (
        "It is."
    ),
    "<details><summary>More</summary>It is.</details>": (
        "<details><summary>More</summary>It is.</details>"
    ),
    "<chain_of_thought>Is it?</chain_of_thought>It is.": "It is.",
    "<thinking>Is it?</thinking>\n<output>It is.</output>": "It is.",
    "<|inner_prefix|>Is it?<|inner_suffix|>It is.<|assistant_end|>": "It is.",
    # special tokens of templates that servers let through
    "<|start_header_id|>assistant<|end_header_id|>\n\nIt is.<|eot_id|>": "It is.",
    "It is.<|eot|><|header_start|>user<|header_end|>\n\nAnd?": "It is.",
    "It is.</s> And?": "It is.",
    "It ends with </s>, <s>so</s>.": "It ends with </s>, <s>so</s>.",
    "<｜Assistant｜>It is.<｜end▁of▁sentence｜><｜User｜>And?": "It is.",
    "<|START_OF_TURN_TOKEN|><|CHATBOT_TOKEN|>It is.<|END_OF_TURN_TOKEN|>": "It is.",
    "<|START_TEXT|>It is.<|END_TEXT|>": "It is.",
    "<think>Is it?</think>\nIt is <|begin_of_box|>3<|end_of_box|>.<|user|>": "It is 3.",
    "<|im_start|>assistant\nIt is.<|im_end|>": "It is.",
    "<start_of_turn>model\nIt is.<end_of_turn>": "It is.",
    "<|channel>thought\nIs it?<channel|>It is.<turn|>": "It is.",
}

# a sentence that mentions a tag
MENTIONS = [
    "The tag <think> is written by the model [1].",
    "Models open a thought with <think>",
    'They write "<think>" first [1].',
    "标签 <think> 由模型写出 [1]。",
    "Qwen wraps thoughts in <think> and </think> tags [1].",
    "Between <think></think> stands the thought [1].",
    "It ends with </think>, as the template says [1].",
    "The closing tag </think> comes last [1].",
    "Mistral writes [THINK] before it.\n\nAnd more [1].",
    "Use <reasoning> for it, or <analysis> [1].",
]

# only a closing tag, behind what thoughts begin with
UNOPENED = [
    "Okay, is it [2]? ",
    "Alright, let me see. ",
    "Let me see: [2]?\n\n",
    "The user asks whether it is. ",
    "We need to look at passage 2. ",
    "I should look. ",
    "Hmm, [2]? ",
    "So the user wants it. ",
    "好的，用户问的是 [2]。",
    "嗯，我需要看资料。",
    "首先，看资料 [2]。",
    "まず、資料を見る。",
]


def heard(pieces, **options):
    listener = Listener(**options)
    shown = [listener.feed(piece) for piece in pieces]
    return "".join([*shown, listener.finish()]), listener


@pytest.mark.parametrize("size", [1, 2, 3, 7, 10_000])
@pytest.mark.parametrize("reply", REPLIES)
def test_what_is_said(reply, size):
    shown, listener = heard([reply[at : at + size] for at in range(0, len(reply), size)])
    assert said(reply) == listener.text == REPLIES[reply]
    if not listener.lone_close:
        assert shown == REPLIES[reply]


@pytest.mark.parametrize("size", [1, 3, 10_000])
@pytest.mark.parametrize("reply", MENTIONS)
def test_a_tag_that_a_sentence_mentions_is_said(reply, size):
    shown, listener = heard([reply[at : at + size] for at in range(0, len(reply), size)])
    assert shown == listener.text == said(reply) == reply
    assert said(f"<think>Is it?</think>\n{reply}") == reply
    assert said(f"{reply}<|im_end|>\n") == reply


def test_behind_a_mention_a_thought_is_one():
    reply = "The tag <think> is written first.\n"
    assert said(f"{reply}<think>Or not?") == reply
    assert said(f"{reply}<think>Or not?</think>It is.") == f"{reply}It is."


@pytest.mark.parametrize(
    "reply",
    [
        "It is <think>or is it not? Let me look</think>5.",
        "It is <think>\nhm\n</think>5.",
        "So it is 5 </think>\n\nIt is 5.",
        "Okay, so five </think> It is 5.",
        "<think>The tag <think> is",
        "It is 5.\n<think>Or",
        "It is 5. <think>Or",
        "It is 5 [1] <think>Or",
    ],
)
def test_a_thought_in_the_midst_is_not_said(reply):
    assert said(reply).strip() in ("It is 5.", "It is 5 [1]", "")


@pytest.mark.parametrize("size", [1, 2, 5, 10_000])
@pytest.mark.parametrize("thought", UNOPENED)
def test_a_thought_that_was_not_opened_is_not_shown(thought, size):
    reply = f"{thought}</think>\n\nIt is [1]."
    shown, listener = heard([reply[at : at + size] for at in range(0, len(reply), size)])
    assert shown == listener.text == said(reply) == "It is [1]."
    assert listener.lone_close
    # an answer that begins so comes whole
    assert heard([thought, "It is."])[0] == f"{thought}It is."


def test_names_of_channels_without_their_tokens():
    assert said("analysisWe need [2].assistantfinalIt is [1].") == "It is [1]."
    assert heard(["analysis", "We need [2].", "assistant", "final", "It is."])[0] == "It is."
    assert said("analysis of data [1]") == "analysis of data [1]"


def test_a_model_that_is_known_to_think_first_shows_nothing_before_its_tag():
    pieces = ["Baobab [2]", " or not", "</think>", "It", " is."]
    listener = Listener(thinks_first=True)
    assert [listener.feed(piece) for piece in pieces] == ["", "", "", "It", " is."]
    listener = Listener()
    assert listener.feed("Baobab [2]") == "Baobab [2]"
    listener = Listener(thinks_first=True)
    listener.trust()
    assert listener.feed("It is") == "It is"


@given(st.text(alphabet="<>/|thinkansweral`[]THINK \n", max_size=60), st.lists(st.integers(0, 60)))
def test_what_is_said_does_not_depend_on_the_pieces(reply, cuts):
    bounds = [0, *sorted(min(cut, len(reply)) for cut in cuts), len(reply)]
    shown, listener = heard([reply[a:b] for a, b in pairwise(bounds)])
    assert listener.text == said(reply)
    if not listener.lone_close:
        assert shown == listener.text


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ("It is.", "It is."),
        (None, ""),
        ([], ""),
        ([{"type": "text", "text": "It "}, "is."], "It is."),
        (
            [
                {"type": "thinking", "thinking": [{"type": "text", "text": "Is it?"}]},
                {"type": "text", "text": "It is."},
            ],
            "It is.",
        ),
        ([{"type": "thinking", "thinking": "Is it?", "text": "no"}], ""),
        (
            [{"type": "redacted_thinking", "data": "x"}, {"type": "text", "text": "It is."}],
            "It is.",
        ),
        ([{"type": "tool_use", "name": "f", "text": "no"}], ""),
        ([{"type": "output_text", "text": "It is.", "annotations": []}], "It is."),
        ([{"type": "text", "text": {"value": "It is.", "annotations": []}}], "It is."),
        ([{"type": "refusal", "refusal": "I will not."}], "I will not."),
        ([SimpleNamespace(type="text", text="It is.")], "It is."),
        ([SimpleNamespace(type="thinking", thinking="Is it?")], ""),
        ({"type": "text", "text": "It is."}, "It is."),
        ([{"type": "text", "text": None}, {}, 3], ""),
    ],
)
def test_the_text_of_content(content, text):
    assert text_of(content) == text


@pytest.mark.parametrize(
    ("reason", "ending"),
    [
        ("length", "length"),
        ("MAX_TOKENS", "length"),
        ("model_length", "length"),
        ("content_filter", "content_filter"),
        ("SAFETY", "content_filter"),
        ("RECITATION", "content_filter"),
        ("tool_use", "tool_calls"),
        ("function_call", "tool_calls"),
        ("error", "error"),
        ("insufficient_system_resource", "error"),
        ("stop", None),
        ("end_turn", None),
        ("STOP", None),
        (None, None),
        (SimpleNamespace(value="SAFETY"), "content_filter"),
    ],
)
def test_what_ends_a_reply(reason, ending):
    assert ending_of(reason) == ending
