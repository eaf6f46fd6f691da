"""Examples to train on: where they come from, what is cleaned away, which negatives they get."""

from __future__ import annotations

from trivec.training.data.building import DatasetOptions, build_dataset, indexed_passages
from trivec.training.data.cleaning import CleaningOptions, CleaningRule
from trivec.training.data.examples import TrainingExample, read_examples, write_examples
from trivec.training.data.gathering import gather
from trivec.training.data.general import general_examples
from trivec.training.data.keywords import KeywordOptions, KeywordReport, build_keyword_dataset
from trivec.training.data.leaks import Leak, LeakKind, find_leaks, require_no_leaks
from trivec.training.data.mining import FilterRule, MiningOptions
from trivec.training.data.pairs import CorpusPassage, Gathered, Pair, PairKind
from trivec.training.data.reports import DatasetReport, SplitCounts
from trivec.training.data.splitting import SplitName, SplitOptions

__all__ = [
    "CleaningOptions",
    "CleaningRule",
    "CorpusPassage",
    "DatasetOptions",
    "DatasetReport",
    "FilterRule",
    "Gathered",
    "KeywordOptions",
    "KeywordReport",
    "Leak",
    "LeakKind",
    "MiningOptions",
    "Pair",
    "PairKind",
    "SplitCounts",
    "SplitName",
    "SplitOptions",
    "TrainingExample",
    "build_dataset",
    "build_keyword_dataset",
    "find_leaks",
    "gather",
    "general_examples",
    "indexed_passages",
    "read_examples",
    "require_no_leaks",
    "write_examples",
]
