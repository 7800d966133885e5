"""Registering a base: the same weights are the same row, a name has one set of weights."""

import shutil

import pytest
from django.core.exceptions import ValidationError

from modelhub.models import ModelVersion
from modelhub.services.models import model_folder, register_base
from tests.modelhub.checkpoints import checkpoint, make_base

pytestmark = pytest.mark.django_db


def test_registering_again_changes_nothing():
    assert make_base() == make_base()
    assert ModelVersion.objects.count() == 1
    assert model_folder(make_base()) == checkpoint(0).resolve()


def test_a_name_cannot_change_its_weights():
    make_base("Base")
    with pytest.raises(ValidationError, match="other weights"):
        make_base("Base", seed=1)


def test_a_moved_folder_keeps_its_row(tmp_path):
    model = make_base("Base")
    copied = shutil.copytree(checkpoint(0), tmp_path / "moved")
    assert register_base(name="Base", path=copied, actor=None) == model
    model.refresh_from_db()
    assert model_folder(model) == copied.resolve()


def test_a_folder_without_weights_is_refused(tmp_path):
    with pytest.raises(ValidationError, match=r"config\.json is missing"):
        register_base(name="Empty", path=tmp_path, actor=None)


def test_registering_again_refreshes_the_card(tmp_path):
    model = make_base("Base")
    model.card = {}
    model.save()
    assert make_base("Base").card["parameters"] > 0


def test_a_broken_checkpoint_is_refused_as_loading_would(tmp_path):
    folder = shutil.copytree(checkpoint(0), tmp_path / "broken")
    (folder / "config.json").write_text("{")
    with pytest.raises(ValidationError, match=r"config\.json is not readable as JSON"):
        register_base(name="Broken", path=folder, actor=None)
    assert not ModelVersion.objects.exists()
