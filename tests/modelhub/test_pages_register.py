"""The command that the empty list of models names."""

from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from modelhub.models import ModelVersion
from tests.modelhub.checkpoints import checkpoint

pytestmark = pytest.mark.django_db


def test_a_folder_becomes_a_base():
    said = StringIO()
    call_command("register_model", str(checkpoint(0)), name="Our base", stdout=said)
    model = ModelVersion.objects.get()
    assert (model.name, model.kind, model.synthetic) == ("Our base", "base", False)
    assert model.weights_hash in said.getvalue()


def test_a_folder_without_weights_is_an_error_in_words(tmp_path):
    with pytest.raises(CommandError, match="cannot be registered"):
        call_command("register_model", str(tmp_path), name="Empty")
