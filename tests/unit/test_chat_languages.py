"""The language of a question or passage, and the texts that exist in it."""

from __future__ import annotations

import pytest

from trivec.chat.languages import LANGUAGES, in_language, language_of, missing_texts, told
from trivec.chat.prompts import FAILURES, INSTRUCTIONS, QUESTION, REFUSALS, answer_messages
from trivec.errors import InputError


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("東京タワーの高さは？", "ja"),
        ("日本の首都はどこですか", "ja"),
        ("ビタミンCとは", "ja"),
        ("ﾋﾞﾀﾐﾝ", "ja"),
        ("서울의 인구는?", "ko"),
        ("漢字와 한글의 차이는 무엇입니까?", "ko"),
        ("绿茶是什么？", "zh"),
        ("網絡交換機怎麼設定？", "zh"),
        ("GPU 多少钱 on AWS", "zh"),
        ("「はい」是什么意思？", "zh"),
        ("“안녕”怎么读？", "zh"),
        ("how many?", "en"),
        ("What is the résumé of Müller?", "en"),
        ("What does 机器学习 mean?", "en"),
        ("What is the Japanese word カワイイ?", "en"),
        ("What is 東京タワー?", "en"),
        ("Where is 東京スカイツリー located?", "en"),
        ("What is 中华人民共和国?", "en"),
        ("What is the fare of 서울교통공사?", "en"),
        ("how to インストールしますか", "ja"),
        ("how to 설치하나요", "ko"),
        ("エラー: file not found", "ja"),
        ("price", "en"),
        ("", "en"),
        ("Wie hoch ist der Turm?", "other"),
        ("Quelle est la hauteur de la tour Eiffel", "other"),
        ("¿Cuánto cuesta?", "other"),
        ("Сколько стоит?", "other"),
        ("ما هو الشاي؟", "other"),
        ("ชาคืออะไร", "other"),
    ],
)
def test_the_language_of_a_text(text, language):
    assert language_of(text) == language


def test_every_language_has_its_words():
    for texts in (INSTRUCTIONS, QUESTION, REFUSALS, *FAILURES.values()):
        assert set(texts) == set(LANGUAGES)
        assert len({texts[language] for language in LANGUAGES}) == len(LANGUAGES) - 1
        assert texts["other"] == texts["en"]


def test_prompts_are_in_the_questions_language():
    assert "角括弧" in answer_messages("東京タワーの高さは？", ["x"])[0]["content"]
    assert "대괄호" in answer_messages("서울의 인구는?", ["x"])[0]["content"]
    german = answer_messages("Wie hoch ist der Turm?", ["x"])[0]["content"]
    assert "Answer in the question's language" in german
    assert "角括弧" in answer_messages("how?", ["x"], "ja")[0]["content"]
    with pytest.raises(InputError, match="language='fr'"):
        answer_messages("q", ["one"], "fr")


def test_where_there_is_no_text_the_english_one_asks_for_the_language():
    texts = {"en": "Write.", "zh": "写。"}
    assert told(texts, "zh", of="passage", write="questions") == "写。"
    assert told(texts, "en", of="passage", write="questions") == "Write."
    asked = "Write. Write the questions in the language of the passage."
    assert told(texts, "ja", of="passage", write="questions") == asked
    assert in_language(texts, "ko") == "Write."
    assert missing_texts(texts, None) == missing_texts(texts, "ja") == []
    assert missing_texts({"en": ""}, None) == ["zh"]
    assert missing_texts({"ja": ""}, "ja") == []
    assert missing_texts({"zh": ""}, "ko") == ["ko"]
