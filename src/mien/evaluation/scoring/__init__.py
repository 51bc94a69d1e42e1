"""Score models, Mien's or your own, by the same code: in Python what `mien evaluate` does on the command line.

from mien.datasets.prepared_file import read_prepared
from mien.evaluation.scoring import evaluate, from_callable

model = from_callable(my_network, labels=("anger", "happiness", "neutral"), size=48, channels=1, name="mine")
document = evaluate(model, read_prepared("fer2013.parquet"), samples=1000)
print(document["results"]["emotion"]["accuracy"])
"""

from __future__ import annotations

from mien.evaluation.comparison import Comparison, compare
from mien.evaluation.scoring.evaluate import SplitPredictions, evaluate, predict_split, score_predictions
from mien.evaluation.scoring.foreign_onnx import from_onnx
from mien.evaluation.scoring.report import compare_models, write_report
from mien.evaluation.scoring.scored_model import ScoredModel, from_callable, open_model

__all__ = [
    "Comparison",
    "ScoredModel",
    "SplitPredictions",
    "compare",
    "compare_models",
    "evaluate",
    "from_callable",
    "from_onnx",
    "open_model",
    "predict_split",
    "score_predictions",
    "write_report",
]
