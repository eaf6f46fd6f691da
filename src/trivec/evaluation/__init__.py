"""How well an index finds what it should: datasets, figures, statistics."""

from __future__ import annotations

from trivec.evaluation.dataset import Dataset, DatasetFault, FaultKind, Question
from trivec.evaluation.metrics import MAIN_MEASURE, MEASURES, figures
from trivec.evaluation.reading import read_dataset
from trivec.evaluation.statistics import (
    Comparison,
    DrawnBy,
    Estimate,
    compare_all,
    compared,
    estimated,
    units_of,
)

__all__ = [
    "MAIN_MEASURE",
    "MEASURES",
    "Comparison",
    "Dataset",
    "DatasetFault",
    "DrawnBy",
    "Estimate",
    "FaultKind",
    "Question",
    "compare_all",
    "compared",
    "estimated",
    "figures",
    "read_dataset",
    "units_of",
]
