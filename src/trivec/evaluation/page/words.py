"""The page's words in English and Chinese; a switch shows one of them."""

from __future__ import annotations

from html import escape

from trivec._runtime.showing import shown

__all__ = ["both", "safe", "svg_both"]

CHINESE: dict[str, str] = {
    "Evaluation": "检索评测",
    "questions": "个问题",
    "passages": "个段落",
    "documents": "篇文档",
    "intervals of 95 % drawn by document": "95% 区间，按文档抽样",
    "intervals of 95 % drawn by question": "95% 区间，按问题抽样",
    "index": "索引",
    "model": "模型",
    "memory": "内存",
    "encoding a query alone": "单独编码一个查询",
    "What was wrong with the dataset": "数据集中的问题",
    "duplicate passage id": "段落 id 重复",
    "duplicate question id": "问题 id 重复",
    "blank passage": "空段落",
    "blank question": "空问题",
    "judged passage that is not there": "标注的段落不存在",
    "question without a relevant passage": "没有相关段落的问题",
    "judged question that is not there": "标注的问题不存在",
    "judged twice": "重复标注，等级不同",
    "question of only one of the two files": "只在其中一个文件中的问题",
    "the same passage under two ids": "同一段落有两个 id",
    "Systems": "系统",
    "system": "系统",
    "search ms, p50": "搜索毫秒 p50",
    "p95": "p95",
    "won": "胜",
    "tied": "平",
    "lost": "负",
    "Won, tied, lost and p: beside": "胜、平、负和 p：对比",
    "nDCG@10 counts a relevant passage the more, the higher it stands among the first ten. "
    "R is recall, RR the reciprocal rank of the first relevant one. p50 and p95: half of the "
    "searches, and 95 in 100, take no longer. p: how likely chance alone makes such a difference, "
    "corrected by Holm's method; bold below 0.05.": (
        "nDCG@10：相关段落在前十条中越靠前，得分越高。R 是召回率，RR 是第一条相关段落排名的倒数。"
        "p50 和 p95：一半和 95% 的搜索不超过此耗时。"
        "p：仅凭偶然出现这种差别的概率，经 Holm 校正；小于 0.05 时为粗体。"
    ),
    "given up": "已放弃",
    "failed": "失败",
    "Quality against time": "质量与耗时",
    "milliseconds of a search, median": "一次搜索的毫秒数（中位数）",
    "Every pair": "两两比较",
    "Wins of the row over the column, less its losses; bold where Holm's p is below 0.05.": (
        "行对列的胜负差；Holm 校正后 p 小于 0.05 时为粗体。"
    ),
    "Kinds of questions": "问题类型",
    "language of the question": "问题的语言",
    "language of the passage": "段落的语言",
    "length of the question": "问题的长度",
    "words shared with the passage": "与段落共有的词",
    "another": "不同",
    "the same": "相同",
    "short": "短",
    "middle": "中",
    "long": "长",
    "few": "少",
    "some": "一些",
    "most": "大多数",
    "Failures": "失败原因",
    "Questions without a relevant passage among the first ten.": "前十条中没有相关段落的问题。",
    "not in the index": "不在索引中",
    "found, but ranked low": "找到了，但排名靠后",
    "another language": "语言不同",
    "no lexical match": "没有共同的词",
    "search failed": "搜索出错",
    "other": "其他",
    "What the arms share": "各路检索的重合",
    "both": "都找到",
    "neither": "都没找到",
    "only the first": "只有前者",
    "only the second": "只有后者",
    "When to refuse": "何时拒答",
    "Best scores of questions whose first passage is right, above, and wrong, below.": (
        "上：第一条正确的问题的最高分；下：错误的。"
    ),
    "A right one scores above a wrong one in": "正确的分数高于错误的概率",
    "Up: how many of the wrong ones a threshold refuses. Across: how many of the right ones.": (
        "纵轴：错误中被阈值拒绝的比例。横轴：正确中被误拒的比例。"
    ),
    "Fused scores bear no threshold: what they mean changes with the question.": (
        "融合分数不能设阈值：其含义随问题而变。"
    ),
    "Scores of relevant and irrelevant passages among the first ten": (
        "前十条中相关与不相关段落的分数"
    ),
    "Question by question": "逐题查看",
    "of": "/",
    "The questions on which systems differ most are listed.": "只列出各系统差别最大的问题。",
    "Press a question to see what both systems found.": "点击问题，查看两个系统找到的段落。",
    "Beside it stands the nDCG@10 of A and of B.": "旁边是 A 和 B 的 nDCG@10。",
    "relevant": "相关",
    "irrelevant": "不相关",
}
"""Chinese by the English; a test looks that nothing is missing."""


def safe(text: str) -> str:
    """Return a text from outside for HTML: no markup, and nothing that turns its direction."""
    return escape(shown(text))


def both(english: str) -> str:
    """Return words in both languages; what has no Chinese stands in English alone."""
    chinese = CHINESE.get(english)
    if chinese is None:
        return escape(english)
    return f'<span class="en">{escape(english)}</span><span class="zh">{escape(chinese)}</span>'


def svg_both(english: str, classes: str, place: str) -> str:
    """Return a text of a drawing in both languages."""
    chinese = CHINESE.get(english, english)
    return (
        f'<text class="en {classes}" {place}>{escape(english)}</text>'
        f'<text class="zh {classes}" {place}>{escape(chinese)}</text>'
    )
