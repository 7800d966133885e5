"""List, detail, correcting, writing and queueing of narratives."""

import uuid
from urllib.parse import urlencode

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.core.paginator import Paginator
from django.db import transaction
from django.db.models import Prefetch
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.translation import get_language, ngettext
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from annotator.accounts.roles import ADMINISTRATOR, RESEARCHER, role_required
from annotator.accounts.signed_in import user_of
from annotator.narratives.forms import WriteForm
from annotator.narratives.history import version_views
from annotator.narratives.selection import studies, study_of
from annotator.narratives.states import NOT_QUEUED, STATES, count_states, latest_versions, narratives_in
from annotator.narratives.step_editing import edited_text
from scoring.models import Case, Narrative, NarrativeVersion
from scoring.rubric import dimensions_in
from scoring.services.narratives import create_narrative, revise_version
from scoring.services.queue import enqueue_versions
from scoring.services.reveals import record_reveals
from scoring.services.revising import REVISION_PRIORITY

PER_PAGE = 25


@require_safe
@role_required(ADMINISTRATOR, RESEARCHER)
def narrative_list(request: HttpRequest) -> HttpResponse:
    study = study_of(request)
    if study is None:
        return render(request, "narratives/no_study.html")
    everything = narratives_in(study)
    counts = count_states(everything)
    state = request.GET.get("state", "")
    shown = everything.filter(state=state) if state in STATES else everything
    shown = shown.select_related("case__source", "case__group").prefetch_related("case__images").order_by("-pk")
    page = Paginator(shown, PER_PAGE).get_page(request.GET.get("page"))
    record_reveals(rater=user_of(request), cases=[narrative.case for narrative in page])
    newest = {v.narrative_id: v for v in NarrativeVersion.objects.filter(pk__in=[n.latest for n in page])}
    rows = [{"narrative": n, "version": newest.get(n.pk), "state": STATES[n.state]} for n in page]
    tabs = [{"key": key, "label": label, "count": counts[key]} for key, (label, _tone) in STATES.items()]
    context = {
        "study": study,
        "studies": studies(),
        "page_obj": page,
        "rows": rows,
        "tabs": tabs,
        "state": state if state in STATES else "",
        "total": sum(counts.values()),
        "not_queued": counts[NOT_QUEUED],
        "may_edit": user_of(request).is_administrator,
    }
    return render(request, "narratives/list.html", context)


@require_POST
@role_required(ADMINISTRATOR)
def queue(request: HttpRequest) -> HttpResponse:
    """Queue the latest version of the ticked narratives, or of all that are not queued yet."""
    study = study_of(request)
    if study is None:
        return redirect("narratives:list")
    chosen = narratives_in(study)
    if request.POST.get("scope") == "all":
        chosen = chosen.filter(state=NOT_QUEUED)
    else:
        chosen = chosen.filter(public_id__in=_uuids(request.POST.getlist("narrative")))
    try:
        count = enqueue_versions(study=study, versions=latest_versions(chosen), actor=user_of(request))
    except ValidationError as error:
        messages.error(request, " ".join(error.messages))
    else:
        report = messages.success if count else messages.warning
        report(request, _queued_sentence(count, study.overlap))
    return redirect(f"{reverse('narratives:list')}?{urlencode({'study': study.public_id})}")


@require_safe
@role_required(ADMINISTRATOR, RESEARCHER)
def detail(request: HttpRequest, public_id: uuid.UUID) -> HttpResponse:
    narrative = _narrative(public_id)
    study = study_of(request)
    if study is None:
        return render(request, "narratives/no_study.html")
    record_reveals(rater=user_of(request), cases=[narrative.case])
    context = {
        "narrative": narrative,
        "case": narrative.case,
        "study": study,
        "studies": studies(),
        "versions": version_views(narrative, study),
        "dimensions": dimensions_in(get_language()),
        "may_edit": user_of(request).is_administrator,
    }
    return render(request, "narratives/detail.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
@role_required(ADMINISTRATOR)
def correct(request: HttpRequest, public_id: uuid.UUID) -> HttpResponse:
    """Edit the latest version step by step; the corrected version is queued at raised priority."""
    narrative = _narrative(public_id)
    study = study_of(request)
    version = narrative.versions.order_by("-number").first()
    if study is None or version is None:
        return redirect("narratives:list")
    error = ""
    if request.method == "POST":
        try:
            with transaction.atomic():
                text = edited_text(version, request.POST.dict())
                revised = revise_version(version=version, text=text, author=user_of(request))
                enqueue_versions(study=study, versions=[revised], actor=user_of(request), priority=REVISION_PRIORITY)
        except ValidationError as refused:
            error = " ".join(refused.messages)
        else:
            text = ngettext(
                "Version %(number)s is saved and queued for %(count)s rating.",
                "Version %(number)s is saved and queued for %(count)s ratings.",
                study.overlap,
            )
            messages.success(request, text % {"number": revised.number, "count": study.overlap})
            return redirect(narrative_url(narrative, study.public_id))
    steps = version.step_texts()
    for step in steps:
        step["text"] = request.POST.get(f"step-{step['number']}", step["text"])
    context = {
        "narrative": narrative,
        "case": narrative.case,
        "study": study,
        "version": version,
        "steps": steps,
        "error": error,
    }
    return render(request, "narratives/correct.html", context, status=422 if error else 200)


@require_http_methods(["GET", "HEAD", "POST"])
@role_required(ADMINISTRATOR)
def write(request: HttpRequest, case: uuid.UUID) -> HttpResponse:
    """A narrative from scratch about a case, put into the study's queue."""
    shown = get_object_or_404(Case.objects.prefetch_related("images"), public_id=case)
    study = study_of(request)
    if study is None:
        return render(request, "narratives/no_study.html")
    form = WriteForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            with transaction.atomic():
                version = create_narrative(
                    case=shown,
                    text=form.cleaned_data["text"],
                    language=form.cleaned_data["language"],
                    author_kind=NarrativeVersion.Author.PERSON,
                    author=user_of(request),
                    origin=NarrativeVersion.Origin.FROM_SCRATCH,
                )
                enqueue_versions(study=study, versions=[version], actor=user_of(request))
        except ValidationError as refused:
            form.add_error(None, refused)
        else:
            text = ngettext(
                "The narrative is saved and queued for %(count)s rating.",
                "The narrative is saved and queued for %(count)s ratings.",
                study.overlap,
            )
            messages.success(request, text % {"count": study.overlap})
            return redirect(narrative_url(version.narrative, study.public_id))
    context = {"case": shown, "study": study, "form": form}
    return render(request, "narratives/write.html", context, status=422 if form.errors else 200)


def narrative_url(narrative: Narrative, study: uuid.UUID) -> str:
    return f"{reverse('narratives:detail', args=[narrative.public_id])}?{urlencode({'study': study})}"


def _narrative(public_id: uuid.UUID) -> Narrative:
    images = Prefetch("case__images")
    found = Narrative.objects.select_related("case__source", "case__group").prefetch_related(images)
    return get_object_or_404(found, public_id=public_id)


def _uuids(values: list[str]) -> list[uuid.UUID]:
    found = []
    for value in values:
        try:
            found.append(uuid.UUID(value))
        except ValueError:
            continue
    return found


def _queued_sentence(count: int, overlap: int) -> str:
    if not count:
        return _("Nothing was added. Tick narratives whose latest version is not queued yet.")
    each = ngettext("%(overlap)s rating", "%(overlap)s ratings", overlap) % {"overlap": overlap}
    text = ngettext(
        "%(count)s narrative queued for %(ratings)s each.", "%(count)s narratives queued for %(ratings)s each.", count
    )
    return text % {"count": count, "ratings": each}
