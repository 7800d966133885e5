"""The torch-free settings agree with the model package's own, name by name and value by value."""

from modelhub.ml.backends.base import GenerationSettings
from modelhub.ml.train_settings import TrainSettings
from modelhub.services.model_settings import GENERATION_DEFAULTS, GENERATION_RULES, TRAINING_DEFAULTS, TRAINING_RULES


def test_generation_settings_agree():
    assert set(GENERATION_RULES) == set(GENERATION_DEFAULTS) == {*vars(GenerationSettings()), "bias_mode"}


def test_training_settings_agree():
    theirs = TrainSettings().to_dict()
    assert {k: theirs[k] for k in TRAINING_DEFAULTS} == TRAINING_DEFAULTS
    # chosen on the worker, or not offered
    assert set(theirs) - set(TRAINING_DEFAULTS) == {"precision", "device", "weights", "branch_sizes"}
    assert set(TRAINING_RULES) == set(TRAINING_DEFAULTS)
