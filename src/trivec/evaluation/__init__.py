"""How well an index finds what it should: datasets, systems, figures, statistics."""

from __future__ import annotations

from trivec.evaluation.analysis import (
    FailureKind,
    Overlap,
    Separation,
    Slice,
    failures,
    overlaps,
    separation,
    slices,
)
from trivec.evaluation.building import indexed
from trivec.evaluation.comparing import ComparisonVerdict, Cost, Word, compare, verdict
from trivec.evaluation.costs import Costs
from trivec.evaluation.dataset import Dataset, DatasetFault, FaultKind, Question
from trivec.evaluation.explaining import explain_passage
from trivec.evaluation.explanations import (
    ArmAccount,
    ExplainOptions,
    Explanation,
    Reranking,
    TokenMatch,
)
from trivec.evaluation.features import Features
from trivec.evaluation.metrics import MAIN_MEASURE, MEASURES, figures
from trivec.evaluation.mteb import MtebSearch
from trivec.evaluation.page import as_html
from trivec.evaluation.reading import read_dataset
from trivec.evaluation.records import QuestionResult
from trivec.evaluation.reports import as_failures, as_json, as_markdown
from trivec.evaluation.results import Evaluation, Latency, SystemResult, joined
from trivec.evaluation.running import EvaluationOptions, evaluate
from trivec.evaluation.sampling import sample_dataset, save_questions
from trivec.evaluation.settings import load_options, load_settings, save_settings
from trivec.evaluation.statistics import (
    Comparison,
    DrawnBy,
    Estimate,
    compare_all,
    compared,
    estimated,
    units_of,
)
from trivec.evaluation.systems import Rewriting, System, default_systems
from trivec.evaluation.tuning import Trial, Tuning, split_by_document, tune

__all__ = [
    "MAIN_MEASURE",
    "MEASURES",
    "ArmAccount",
    "Comparison",
    "ComparisonVerdict",
    "Cost",
    "Costs",
    "Dataset",
    "DatasetFault",
    "DrawnBy",
    "Estimate",
    "Evaluation",
    "EvaluationOptions",
    "ExplainOptions",
    "Explanation",
    "FailureKind",
    "FaultKind",
    "Features",
    "Latency",
    "MtebSearch",
    "Overlap",
    "Question",
    "QuestionResult",
    "Reranking",
    "Rewriting",
    "Separation",
    "Slice",
    "System",
    "SystemResult",
    "TokenMatch",
    "Trial",
    "Tuning",
    "Word",
    "as_failures",
    "as_html",
    "as_json",
    "as_markdown",
    "compare",
    "compare_all",
    "compared",
    "default_systems",
    "estimated",
    "evaluate",
    "explain_passage",
    "failures",
    "figures",
    "indexed",
    "joined",
    "load_options",
    "load_settings",
    "overlaps",
    "read_dataset",
    "sample_dataset",
    "save_questions",
    "save_settings",
    "separation",
    "slices",
    "split_by_document",
    "tune",
    "units_of",
    "verdict",
]
