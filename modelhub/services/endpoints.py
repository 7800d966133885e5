"""Models on OpenAI-compatible servers: registering one, and what may be asked of it."""

from collections.abc import Mapping
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import QuerySet

from modelhub.ml.backends.endpoint import EndpointSpec
from modelhub.models import ModelVersion
from scoring.models import Case
from scoring.services.audit import record_event

STAYS = "its source does not let pictures leave this site, and this model stands elsewhere"


@transaction.atomic
def register_endpoint(
    *,
    name: str,
    url: str,
    served_model: str,
    key_variable: str = "",
    on_site: bool = False,
    family: str = "",
    actor: Any,
) -> ModelVersion:
    """A model on a server; registered again under its name, it may be reached or keyed in another way.

    ``family``: whose kin the model is, such as qwen or gpt; empty where nobody knows.

    Raises ``ValidationError`` for an address that may not be used, and for a name that another model has.
    """
    try:
        spec = EndpointSpec(url=url, model=served_model, key_variable=key_variable, on_site=on_site)
    except ValueError as error:
        raise ValidationError(f"This server cannot be registered: {error}.") from error
    how = {"model": spec.model, "key_variable": spec.key_variable, "on_site": spec.on_site}
    named = ModelVersion.objects.filter(name=name).first()
    if named is not None:
        if named.kind != ModelVersion.Kind.ENDPOINT or named.weights_hash != spec.digest:
            raise ValidationError(f"The name “{name}” belongs to another model. Choose another name.")
        named.endpoint, named.family = how, family.strip() or named.family
        named.save(update_fields=["endpoint", "family"])
        model = named
    else:
        model = ModelVersion.objects.create(
            name=name,
            kind=ModelVersion.Kind.ENDPOINT,
            location=spec.url,
            weights_hash=spec.digest,
            endpoint=how,
            family=family.strip(),
            created_by=actor,
        )
    record_event(actor=actor, action="model.registered", subject=model, detail={"url": spec.url} | how)
    return model


def endpoint_spec(model: ModelVersion) -> EndpointSpec:
    """How to ask a model of the kind ``endpoint``."""
    return EndpointSpec(url=model.location, **model.endpoint)


def check_endpoint_settings(model: ModelVersion, settings: Mapping[str, Any]) -> None:
    """Raises ``ValidationError`` keyed by setting for what a server cannot be told; nothing for other models."""
    if model.kind != ModelVersion.Kind.ENDPOINT:
        return
    problems = {}
    if settings["bias_mode"] not in (None, "off"):
        problems["bias_mode"] = f"“{model.name}” is asked on a server, which has no side branch. Choose off."
    if settings["no_repeat_ngram"]:
        problems["no_repeat_ngram"] = f"“{model.name}” is asked on a server, which takes no such rule. Choose 0."
    if problems:
        raise ValidationError(problems)


def leaves_site(model: ModelVersion) -> bool:
    """Whether the pictures that this model is asked about leave the site."""
    return model.kind == ModelVersion.Kind.ENDPOINT and endpoint_spec(model).leaves_site


def cases_that_must_stay(model: ModelVersion, cases: QuerySet[Case]) -> QuerySet[Case]:
    """Those of ``cases`` that may not be sent where this model is."""
    return cases.filter(source__may_leave_site=False) if leaves_site(model) else cases.none()
