"""Administrators ask for comparisons and settle what was held back; researchers read along."""

import uuid
from typing import Any

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from annotator.accounts.roles import ADMINISTRATOR, RESEARCHER, role_required
from annotator.accounts.signed_in import user_of
from annotator.comparisons.forms import ComparisonForm, RevealForm, WordForm
from annotator.comparisons.results import tallies, with_progress
from modelhub.services.preferences import ask_preferences
from scoring.models import Comparison, Pair
from scoring.services.comparisons import (
    clear_pair,
    push_identity_words,
    remove_identity_word,
    set_reveal,
    withdraw_pair,
)

PER_PAGE = 25
HELD_BACK_SHOWN = 25


@require_safe
@role_required(ADMINISTRATOR, RESEARCHER)
def comparison_list(request: HttpRequest) -> HttpResponse:
    page = Paginator(with_progress(Comparison.objects.all()), PER_PAGE).get_page(request.GET.get("page"))
    may_edit = user_of(request).is_administrator
    return render(request, "comparisons/list.html", {"page_obj": page, "may_edit": may_edit})


@require_http_methods(["GET", "HEAD", "POST"])
@role_required(ADMINISTRATOR)
def create(request: HttpRequest) -> HttpResponse:
    """Choose two models and the study whose raters are asked."""
    asked = {name: request.GET[name] for name in ("first_model", "second_model", "study") if name in request.GET}
    form = ComparisonForm(request.POST or None, initial=asked)
    if request.method == "POST" and form.is_valid():
        try:
            comparison, count = ask_preferences(
                study=form.cleaned_data["study"],
                first=form.cleaned_data["first_model"],
                second=form.cleaned_data["second_model"],
                actor=user_of(request),
                **form.terms(),
            )
        except ValidationError as refused:
            form.add_error(None, refused.messages)
        else:
            text = ngettext("%(count)s pair waits for raters.", "%(count)s pairs wait for raters.", count)
            messages.success(request, text % {"count": count})
            return redirect("comparisons:detail", comparison.public_id)
    return render(request, "comparisons/create.html", {"form": form}, status=422 if form.errors else 200)


@require_safe
@role_required(ADMINISTRATOR, RESEARCHER)
def detail(request: HttpRequest, public_id: uuid.UUID) -> HttpResponse:
    return _page(request, _comparison(public_id))


@require_POST
@role_required(ADMINISTRATOR)
def reveal(request: HttpRequest, public_id: uuid.UUID) -> HttpResponse:
    comparison = _comparison(public_id)
    form = RevealForm(request.POST)
    if not form.is_valid():
        return _page(request, comparison, status=422, reveal_form=form)
    set_reveal(comparison=comparison, reveal=form.cleaned_data["reveal"], actor=user_of(request))
    messages.success(request, _("Saved."))
    return redirect("comparisons:detail", public_id)


@require_POST
@role_required(ADMINISTRATOR)
def words(request: HttpRequest, public_id: uuid.UUID) -> HttpResponse:
    """Adds a word to hide, or with ``remove`` takes one off the list; waiting pairs are looked through again."""
    comparison = _comparison(public_id)
    form = WordForm(request.POST)
    try:
        if "remove" in request.POST:
            remove_identity_word(study=comparison.study, word=request.POST["remove"], actor=user_of(request))
        elif form.is_valid():
            word = form.cleaned_data["word"]
            if not push_identity_words(study=comparison.study, words=[word], actor=user_of(request)):
                raise ValidationError(_("This word is on the list already."))
        else:
            return _page(request, comparison, status=422, word_form=form)
    except ValidationError as refused:
        messages.error(request, " ".join(refused.messages))
    return redirect("comparisons:detail", public_id)


@require_POST
@role_required(ADMINISTRATOR)
def settle(request: HttpRequest, public_id: uuid.UUID, pair: uuid.UUID) -> HttpResponse:
    """Let a held-back pair pass, or take it out."""
    held = get_object_or_404(Pair, public_id=pair, comparison__public_id=public_id)
    act = withdraw_pair if request.POST.get("act") == "withdraw" else clear_pair
    try:
        act(pair=held, actor=user_of(request))
    except ValidationError as refused:
        messages.error(request, " ".join(refused.messages))
    return redirect("comparisons:detail", public_id)


def _comparison(public_id: uuid.UUID) -> Comparison:
    return get_object_or_404(with_progress(Comparison.objects.all()), public_id=public_id)


def _page(request: HttpRequest, comparison: Comparison, *, status: int = 200, **forms: Any) -> HttpResponse:
    held = comparison.pairs.filter(state=Pair.State.FLAGGED).select_related("case").order_by("pk")
    with_words = comparison.pairs.exclude(hits={}).count()
    context = {
        "comparison": comparison,
        "tallies": tallies(comparison),
        "held_back": held[:HELD_BACK_SHOWN],
        "with_words": with_words,
        "words": comparison.study.identity_words.all(),
        "word_form": WordForm(),
        "reveal_form": RevealForm(initial={"reveal": comparison.reveal}),
        "may_edit": user_of(request).is_administrator,
        **forms,
    }
    return render(request, "comparisons/detail.html", context, status=status)
