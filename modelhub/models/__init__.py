"""What machines do, as tables. Relations into ``scoring`` have no way back, so raters stay blind."""

from modelhub.models.artifact import Artifact, Snapshot
from modelhub.models.benchmark import BenchmarkEntry, BenchmarkRun
from modelhub.models.dermeval import DermEvalTraining, LearnedRating
from modelhub.models.drafting import Draft, DraftingRun, DraftStage
from modelhub.models.evaluation import (
    Evaluation,
    EvaluationEntry,
    EvaluationRun,
    EvaluationScore,
    EvaluatorVersion,
    JudgeReply,
    PoorNarrative,
    RetestEntry,
)
from modelhub.models.filtering import FilterThreshold
from modelhub.models.generation import Generation, PromptVersion
from modelhub.models.leaderboard import Leaderboard
from modelhub.models.model_version import ModelVersion, SyntheticTruth
from modelhub.models.run import Run
from modelhub.models.tensor_hashes import TensorHashes
from modelhub.models.training import Training

__all__ = [
    "Artifact",
    "BenchmarkEntry",
    "BenchmarkRun",
    "DermEvalTraining",
    "Draft",
    "DraftStage",
    "DraftingRun",
    "Evaluation",
    "EvaluationEntry",
    "EvaluationRun",
    "EvaluationScore",
    "EvaluatorVersion",
    "FilterThreshold",
    "Generation",
    "JudgeReply",
    "Leaderboard",
    "LearnedRating",
    "ModelVersion",
    "PoorNarrative",
    "PromptVersion",
    "RetestEntry",
    "Run",
    "Snapshot",
    "SyntheticTruth",
    "TensorHashes",
    "Training",
]
