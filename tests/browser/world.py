"""One small world in which every page of the site has something to show, and which person may look at it."""

import uuid
from dataclasses import dataclass, field
from typing import Any

from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver, reverse
from django.utils import timezone

from modelhub.models import Leaderboard, Run
from modelhub.services.leaderboard_figures import refresh_leaderboard
from modelhub.services.leaderboards import make_missing_leaderboards
from modelhub.services.statistics import refresh_dashboard
from scoring.models import CaseFlag, Certification, Mark, Pair, Rating
from scoring.rubric import DIMENSION_KEYS, LEVELS
from scoring.services.calibration import start_attempt
from scoring.services.comparisons import create_comparison, enqueue_pairs, push_identity_words
from scoring.services.disputes import dispute_reference
from scoring.services.examples import add_example
from scoring.services.labelled import freeze_labelled
from scoring.services.narratives import revise_version
from scoring.services.preferences import QUESTIONS, claim_pair, vote
from scoring.services.queue import claim_version
from scoring.services.ratings import submit_rating
from scoring.services.references import flag_reference
from scoring.services.reveals import reveal_reference
from scoring.services.studies import start_study
from scoring.services.urgent import report_urgent
from tests import factories as make
from tests.modelhub import hub_rows
from tests.modelhub.drafters import make_held_draft

# Addresses that are no pages: they answer data, files or only a POST.
NO_PAGES = {
    "healthz",
    "accounts:session",
    "accounts:logout",
    "accounts:language",
    "rating:study",
    "rating:draft",
    "rating:calibration_draft",
    "rating:lease",
    "rating:ahead",
    "rating:reveal",
    "preferences:draft",
    "review:settle",
    "cases:image",
    "cases:flag_resolve",
    "study:invite",
    "study:refresh",
    "study:reclaim",
    "study:skip_seen",
    "study:exclude",
    "study:expertise",
    "study:gate",
    "study:retire_example",
    "study:urgent_mail",
    "study:agreement_file",
    "study:report_file",
    "cases:thumbnail",
    "comparisons:reveal",
    "comparisons:words",
    "comparisons:settle",
    "narratives:queue",
    "modelhub:draft_pass",
    "modelhub:run_cancel",
    "modelhub:run_retry",
    "modelhub:dataset_export",
    "modelhub:dataset_freeze",
    "modelhub:benchmark_records",
    "modelhub:leaderboard_csv",
    "modelhub:evaluator_terms",
    "modelhub:artifact",
}


MISSING = "/no-such-page/"


@dataclass
class World:
    """``people`` by role; ``arguments`` of the addresses that need some; ``more`` addresses beside the named ones."""

    people: dict[str, Any]
    arguments: dict[str, list[Any]]
    more: list[str] = field(default_factory=list)
    clients: dict[str, Client] = field(default_factory=dict)

    def client(self, role: str) -> Client:
        """A session of the person with this role, the same at each call; a stranger's for any other word."""
        if role not in self.clients:
            self.clients[role] = Client(raise_request_exception=False)
            if role in self.people:
                self.clients[role].force_login(self.people[role])
        return self.clients[role]

    def pages(self) -> dict[str, str]:
        """Every page's name and address. Raises KeyError for one that this world does not know."""
        found = {}
        for name, needs_arguments in names():
            if name in NO_PAGES:
                continue
            found[name] = reverse(name, args=self.arguments[name] if needs_arguments else [])
        return found | {f"also {address}": address for address in self.more}


def names(resolver: URLResolver | None = None, space: str = "", needs: bool = False) -> list[tuple[str, bool]]:
    """Every address of the site by name, and whether it takes arguments."""
    found: list[tuple[str, bool]] = []
    for entry in (resolver or get_resolver()).url_patterns:
        takes = needs or "<" in str(entry.pattern)
        if isinstance(entry, URLResolver):
            found += names(entry, f"{space}{entry.namespace}:" if entry.namespace else space, takes)
        elif isinstance(entry, URLPattern):
            found.append((f"{space}{entry.name}", takes))
    return found


def build() -> World:
    people = {
        "administrator": make.make_administrator(first_name="Asha", last_name="Chen"),
        "researcher": make.make_researcher(first_name="Tomás", last_name="Reyes"),
        "adjudicator": make.make_adjudicator(first_name="Jonas", last_name="Haas"),
        "nobody": make.make_user(),
        "newcomer": make.make_dermatologist(),
    }
    admin = people["administrator"]
    study = make.make_study(actor=admin, title="Do corrected narratives teach the model?")
    draft = make.make_study(actor=admin, started=False, title="A draft")
    invited = make.make_study(actor=admin, title="Another study", reveal="always")
    rater = people["dermatologist"] = make.make_rater(study, first_name="Mei", last_name="Lin")
    colleague = make.make_rater(study, first_name="Ada", last_name="Okafor")
    make.invite_rater(study=invited, rater=rater, actor=admin)
    certification, disputed = _rated(study, rater, colleague)
    _compared(study, rater, admin)
    held = make.claim(study, rater)
    case = certification.version.narrative.case
    looked_at = {"resolved_by": admin, "resolved_at": timezone.now(), "resolution": "It can be judged."}
    CaseFlag.objects.create(case=case, kind="bad_image", note="Out of focus.", raised_by=rater, **looked_at)
    notice = report_urgent(study=study, case=case, rater=rater, note="An irregular border.")
    comparison = study.comparisons.get()
    slot = claim_pair(study=study, rater=rater)
    assert slot is not None
    arguments: dict[str, list[Any]] = {
        "rating:study": [study.public_id],
        "rating:consent": [invited.public_id],
        "rating:withdraw": [study.public_id],
        "rating:assignment": [held.public_id],
        "rating:revise": [held.public_id],
        "rating:skip": [held.public_id],
        "rating:urgent": [held.public_id],
        "rating:dispute": [disputed.assignment.public_id],
        "preferences:compare": [slot.public_id],
        "preferences:skip": [slot.public_id],
        "review:detail": [certification.public_id],
        "review:revise": [certification.public_id],
        "cases:detail": [case.public_id],
        "cases:flag_resolve": [case.public_id, case.flags.get().pk],
        "study:detail": [study.public_id],
        "study:edit": [draft.public_id],
        "study:amend": [study.public_id],
        "study:start": [draft.public_id],
        "study:state": [study.public_id, "paused"],
        "study:invite": [study.public_id],
        "study:sheet": [study.public_id],
        "study:queue": [study.public_id],
        "study:raters": [study.public_id],
        "study:agreement": [study.public_id],
        "study:policy": [study.public_id],
        "study:report": [study.public_id],
        "study:urgent_notice": [notice.public_id],
        "comparisons:detail": [comparison.public_id],
        "narratives:write": [case.public_id],
        "narratives:detail": [certification.version.narrative.public_id],
        "narratives:correct": [certification.version.narrative.public_id],
    }
    _learning(admin, rater, arguments)
    more = _hub(admin, study, arguments)
    more += [
        reverse("review:detail", args=[c.public_id])
        for c in Certification.objects.filter(is_current=True).exclude(pk=certification.pk)[:2]
    ]
    refresh_dashboard()
    return World(people, arguments, [*more, MISSING])


def _learning(admin: Any, rater: Any, arguments: dict[str, list[Any]]) -> None:
    """A study with a gate, of which she is in the middle; one that asks for her diagnosis first; one to write for."""
    gated = make.make_study(actor=admin, started=False, gate_kappa=0.6, title="With a gate")
    for role, level in [*(("gate", level) for level in LEVELS), ("worked", 4)]:
        add_example(
            rubric=gated.rubric,
            version=make.make_version(),
            role=role,
            scores=dict.fromkeys(DIMENSION_KEYS, level),
            explanations={"accuracy": "The border is described wrongly."},
            actor=admin,
        )
    gated = start_study(study=gated, actor=admin)
    first = make.make_study(actor=admin, own_diagnosis_first=True, title="Diagnosis first")
    scratch = make.make_study(actor=admin, from_scratch_percent=100, title="From scratch")
    for study in (gated, first, scratch):
        make.make_queue(study, 1)
        make.join(study, rater)
    start_attempt(rubric=gated.rubric, rater=rater)
    arguments |= {
        "rating:calibration": [gated.public_id],
        "rating:calibration_example": [gated.public_id, 1],
        "rating:calibration_worked": [gated.public_id, 1],
        "rating:diagnosis": [make.claim(first, rater).public_id],
        "rating:write": [make.claim(scratch, rater).public_id],
        "study:calibration": [gated.public_id],
        "study:new_example": [gated.public_id, make.make_version().public_id],
    }


def _rated(study: Any, rater: Any, colleague: Any) -> tuple[Certification, Rating]:
    """A disputed version with marks, a certified one, one to revise; three that wait."""
    versions = make.make_queue(study, 6)
    for version, scores in zip(versions, ({"safety": 1}, {}, {"accuracy": 2}), strict=False):
        for person in (rater, colleague):
            slot = claim_version(study=study, version=version, rater=person)
            submit_rating(assignment=slot, rater=person, client_uuid=uuid.uuid4(), scores=make.scores(5, **scores))
    certification = Certification.objects.get(version=versions[0], is_current=True)
    step = certification.version.step_texts()[0]
    mark = Mark(step=1, verdict="error", error_type="hallucinated_finding", severity="major", note="Not there.")
    mark.rating = certification.ratings.order_by("pk")[0]
    mark.span_start, mark.span_end = step["start"], step["start"] + 8
    mark.image, mark.point_x, mark.point_y = certification.version.narrative.case.images.get(), 0.5, 0.5
    mark.save()
    Rating.objects.filter(pk=mark.rating.pk).update(active_seconds=1, comment="Escalation is missing.")
    hers = Rating.objects.get(version=certification.version, rater=rater, is_current=True)
    reveal_reference(rating=hers, rater=rater)
    dispute_reference(rating=hers, rater=rater, diagnosis="Melanoma", confidence="probable")
    revise_version(version=versions[-1], text=versions[-1].text.replace("brown", "black"), author=colleague)
    current = Certification.objects.get(version=certification.version, is_current=True)
    return current, Rating.objects.filter(rater=rater).exclude(version=certification.version).first()


def _compared(study: Any, rater: Any, admin: Any) -> None:
    comparison = create_comparison(study=study, actor=admin, first_arm="A", second_arm="B", on_identity="flag")
    push_identity_words(study=study, words=["canary"], actor=admin)
    pairs = []
    for number in range(3):
        case = make.make_case()
        text = "I am Canary. Plaque. Psoriasis." if number == 0 else "Plaque. Psoriasis."
        pairs.append((make.make_version(case=case), make.make_version(case=case, text=text)))
    enqueue_pairs(comparison=comparison, pairs=pairs, actor=admin)
    assert Pair.objects.filter(state="flagged").exists()
    slot = claim_pair(study=study, rater=rater)
    vote(slot=slot, rater=rater, client_uuid=uuid.uuid4(), choices=dict.fromkeys(QUESTIONS, "left"))


def _hub(admin: Any, study: Any, arguments: dict[str, list[Any]]) -> list[str]:
    benchmark = hub_rows.make_benchmark(actor=admin, study=study)
    make_missing_leaderboards()
    refresh_leaderboard(Leaderboard.objects.get())
    dataset = hub_rows.make_dataset(study=study, actor=admin)
    artifact = hub_rows.make_artifact(dataset)
    labelled = make.make_source()
    for label in ("eczema", "psoriasis"):
        make.make_case(source=labelled, split="evaluation", diagnosis=label)
    classes = freeze_labelled(study=study, source=labelled, actor=admin)
    model = benchmark.candidates.first()
    generation = model.generations.first()
    evaluation = hub_rows.make_evaluation_run([(make.make_version(), 4.0, 3.0)])
    draft = make_held_draft(model, make.make_case())
    reference = make.make_version(case=make.make_case(split="evaluation"), author_kind="import")
    flag_reference(reference)
    failed = hub_rows.make_run(state=Run.State.FAILED, error="Out of memory.", title="A failed run")
    arguments |= {
        "modelhub:model_detail": [model.public_id],
        "modelhub:generation_detail": [generation.public_id],
        "modelhub:draft_detail": [draft.public_id],
        "modelhub:run_detail": [benchmark.run.public_id],
        "modelhub:dataset_detail": [dataset.public_id],
        "modelhub:retrain": [dataset.public_id],
        "modelhub:references": [reference.narrative.case.source.public_id],
        "modelhub:benchmark_detail": [benchmark.run.public_id],
        "modelhub:benchmark_records": [benchmark.run.public_id],
        "modelhub:evaluator_detail": [benchmark.evaluator.public_id],
        "modelhub:filter_candidates": [evaluation.run.public_id],
    }
    runs = (failed, artifact.run, evaluation.run, draft.drafting.run)
    version = reverse("modelhub:dataset_detail", args=[classes.public_id])
    return [version, *(reverse("modelhub:run_detail", args=[run.public_id]) for run in runs)]
