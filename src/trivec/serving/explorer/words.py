"""The page's words in English and Chinese."""

from __future__ import annotations

import re
from collections.abc import Mapping

__all__ = ["WORDS", "said"]

WORDS: Mapping[str, Mapping[str, str]] = {
    "title": {"en": "explorer", "zh": "检索浏览器"},
    "question": {"en": "Question", "zh": "问题"},
    "ask": {"en": "Type a question", "zh": "输入问题"},
    "search": {"en": "Search", "zh": "搜索"},
    "answer": {"en": "Answer", "zh": "回答"},
    "settings": {"en": "Settings", "zh": "设置"},
    "arms": {"en": "Arms and weights", "zh": "检索路与权重"},
    "weight_of": {"en": "weight of", "zh": "权重："},
    "fusion": {"en": "Fusion", "zh": "融合方式"},
    "no_weights": {"en": "dbsf takes no weights", "zh": "dbsf 不使用权重"},
    "rrf_k": {"en": "constant of rrf", "zh": "rrf 常数"},
    "colbert": {"en": "ColBERT", "zh": "ColBERT"},
    "colbert_": {"en": "not used", "zh": "不用"},
    "colbert_rescore": {"en": "orders the candidates", "zh": "对候选重新排序"},
    "colbert_fuse": {"en": "is one more arm", "zh": "作为一路参与融合"},
    "rerank": {"en": "Reranker", "zh": "重排模型"},
    "rewrite": {"en": "Rewriting", "zh": "问题改写"},
    "rewrite_": {"en": "none", "zh": "不改写"},
    "rewrite_corpus": {"en": "the corpus's own words", "zh": "用语料自己的词"},
    "rewrite_chat": {"en": "by the chat model", "zh": "由对话模型改写"},
    "more": {"en": "More", "zh": "更多"},
    "k": {"en": "passages", "zh": "段落数"},
    "depth": {"en": "candidates of each arm", "zh": "每路候选数"},
    "least": {"en": "least score of", "zh": "最低分："},
    "filter": {"en": "filter, as JSON", "zh": "过滤条件（JSON）"},
    "missing": {"en": "Why is it missing? Id of a passage", "zh": "为什么没找到？填段落 ID"},
    "reset": {"en": "Reset", "zh": "恢复默认"},
    "fused": {"en": "fused", "zh": "融合结果"},
    "reranked": {"en": "reranked", "zh": "重排结果"},
    "single": {"en": "result", "zh": "结果"},
    "explain": {"en": "explain", "zh": "解释"},
    "explanation": {"en": "Explanation", "zh": "解释"},
    "close": {"en": "close", "zh": "关闭"},
    "nothing": {"en": "Nothing was found.", "zh": "没有找到任何段落。"},
    "no_arm": {
        "en": "No arm is switched on. Switch on one at least.",
        "zh": "没有启用任何检索路。请至少启用一路。",
    },
    "bad_filter": {
        "en": 'The filter is not a JSON object. Write it like {"lang": "zh"}.',
        "zh": '过滤条件不是 JSON 对象。请写成 {"lang": "zh"} 的形式。',
    },
    "faults": {
        "en": "These parts of the address were not understood:",
        "zh": "地址中无法识别的部分：",
    },
    "failed": {"en": "That did not work:", "zh": "出错了："},
    "not_asked": {
        "en": "This link came from another site. Press Answer to ask the model.",
        "zh": "此链接来自其他网站。点击“回答”才会调用模型。",
    },
    "passages": {"en": "passages", "zh": "个段落"},
    "empty": {
        "en": "Type a question. What each arm finds then stands side by side.",
        "zh": "输入问题，各路检索结果会并排显示。",
    },
    "hints": {
        "en": "Keys: / question, j k passage, h l list, Enter explains, Esc closes",
        "zh": "按键：/ 输入问题，j k 上下段落，h l 左右列表，回车查看解释，Esc 关闭",
    },
    "rank": {"en": "rank", "zh": "名次"},
    "score": {"en": "score", "zh": "分数"},
    "weight": {"en": "weight", "zh": "权重"},
    "part": {"en": "adds", "zh": "贡献"},
    "matched": {"en": "matched", "zh": "匹配的词"},
    "arm": {"en": "arm", "zh": "检索路"},
    "sum": {"en": "together", "zh": "合计"},
    "not_taken": {"en": "not a candidate", "zh": "未进入候选"},
    "alignment": {
        "en": "Each token of the question, and its best in the passage",
        "zh": "问题的每个词元及段落中最相近的词元",
    },
    "mean": {"en": "mean", "zh": "平均"},
    "moved": {"en": "was number", "zh": "原名次"},
    "in_fused": {"en": "fused", "zh": "融合名次"},
    "beyond": {"en": "not in the fused list", "zh": "未进入融合结果"},
    "reranking": {"en": "reranker", "zh": "重排"},
    "searched": {"en": "Searched for", "zh": "实际检索"},
    "in_arms": {"en": "in", "zh": "用于"},
    "covered": {
        "en": "The question is in the corpus's own words; nothing was added.",
        "zh": "问题已经使用语料中的词，没有添加。",
    },
    "no_words": {"en": "No words were added.", "zh": "没有添加词。"},
    "cited": {"en": "Cited", "zh": "引用"},
    "refused": {"en": "No answer was given", "zh": "没有给出回答"},
    "unsupported": {"en": "Not supported by what it cites", "zh": "引用内容不支持"},
    "text": {"en": "Passage", "zh": "段落"},
    "metadata": {"en": "Metadata", "zh": "元数据"},
    "source": {"en": "source", "zh": "来源"},
    "theme": {"en": "dark or light", "zh": "深色或浅色"},
}
"""By name and language; what an arm is called is the same in both."""

_CHINESE: tuple[tuple[str, str], ...] = (
    (
        r"it is number (\d+) of the fused list, and (\d+) were asked for",
        r"它在融合结果中排第 \1，而只取前 \2 条",
    ),
    (r"it is number (\d+) of (\d+)", r"它在 \2 条中排第 \1"),
    (r"the filter leaves it out", "它被过滤条件排除"),
    (r"the index has no such passage", "索引中没有这个段落"),
    (r"nothing was found", "什么也没有找到"),
    (
        r"it is a candidate, but not among the first (\d+) of the fused list",
        r"它是候选，但不在融合结果的前 \1 条中",
    ),
    (r"(\w+) scores it (\S+), below the threshold of (\S+)", r"\1 给它 \2 分，低于阈值 \3"),
    (
        r"no arm has it among its first (\d+): (.*); raise prefetch_k to reach it",
        r"各路检索的前 \1 条中都没有它：\2；可以增大候选数",
    ),
    (r"no arm has it among its first (\d+): (.*)", r"各路检索的前 \1 条中都没有它：\2"),
    (r"does not match it", "不匹配"),
    (r"beyond (\d+)", r"超过 \1"),
    (
        r"the reranker reads the first (\d+), and it is number (\d+)",
        r"重排模型只读前 \1 条，而它排第 \2",
    ),
    (r"the reranker puts it from (\d+) to (\d+) of (\d+)", r"重排后从第 \1 到第 \2（共 \3 条）"),
    (
        r"the reranker puts it from (\d+) to (\d+), and (\d+) are kept",
        r"重排后从第 \1 到第 \2，而只保留 \3 条",
    ),
    (
        r"the reranker puts it from (.+) to (.+), and scores it (.+), below the threshold of (.+)",
        r"重排后从第 \1 到第 \2，得分 \3，低于阈值 \4",
    ),
    (r"a single arm", "单路检索"),
    (r"ColBERT orders the candidates", "ColBERT 对候选重新排序"),
    (r"meaning counts for every query", "语义检索对任何问题都有权重"),
    (r"no passage has a word of the query", "没有段落含有问题中的词"),
    (
        r"no passage has more than (\d+) % of the query's weight",
        r"没有段落覆盖问题词权重的 \1% 以上",
    ),
    (r"it alone makes the order", "只由它决定顺序"),
    (r"its exact score counts, times its weight", "精确分数乘以权重"),
    (r"the passage is number (\d+)", r"该段落排第 \1"),
    (r"the passage is not among its candidates", "该段落不在其候选中"),
)
"""What the library says, and its Chinese; longer patterns come first where one begins another."""


def said(text: str, language: str) -> str:
    """Return what the library says in the page's language."""
    if language != "zh":
        return text
    for pattern, chinese in _CHINESE:
        if re.fullmatch(pattern, text):
            told = re.sub(pattern, chinese, text)
            return re.sub("does not match it", "不匹配", re.sub(r"beyond (\d+)", r"超过 \1", told))
    return "；".join(said(part, language) for part in text.split("; ")) if "; " in text else text
