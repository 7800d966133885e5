"""DermEval: a local model that reads picture and narrative, no reference, and writes six lines."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

from modelhub.evaluators.base import CannotEvaluate, EvaluationResult, Evaluator, Item, Outcome
from modelhub.ml.backends.base import Failure, GenerationSettings, Request
from modelhub.ml.dermeval_format import fill_prompt
from modelhub.models import EvaluatorVersion, Run
from modelhub.services.dermeval import adapter_folder, dermeval_identity, prompt_of, training_of
from modelhub.services.models import model_folder
from scoring.diagnosis import names_reference
from scoring.models import Case, NarrativeVersion
from scoring.rubric import DIMENSION_NAMES

AT_ONCE = 64  # narratives asked together; what is scored is stored by and by
NO_IMAGE = "it has no image, and DermEval reads picture and narrative"


class DermEvalEvaluator(Evaluator):
    """The adapter of one stage on its base. ``row.identity`` says which; the files are held against it."""

    provider = "dermeval"

    def __init__(self, row: EvaluatorVersion) -> None:
        self.row, self.name = row, row.name
        self.training = training_of(row)
        self.stage: str = row.identity["stage"]
        self._loaded: Any = None

    def identity(self) -> dict[str, Any]:
        return dermeval_identity(self.training, self.stage)

    def refusal(self, case: Case) -> str | None:
        return None if case.images.exists() else NO_IMAGE

    def evaluate(self, version: NarrativeVersion, case: Case) -> EvaluationResult:
        outcome = next(outcome for _, outcome in self.evaluate_all([Item(version, case)]))
        if isinstance(outcome, CannotEvaluate):
            raise outcome
        return outcome

    def evaluate_all(
        self, items: Iterable[Item], *, run: Run | None = None, tick: Callable[[], None] = lambda: None
    ) -> Iterator[tuple[Item, Outcome]]:
        waiting = iter(items)
        while some := [*islice(waiting, AT_ONCE)]:
            tick()
            yield from self._score(some, tick)

    def diagnosis_right(self, version: NarrativeVersion, case: Case) -> bool | None:
        """DermEval is told no diagnosis and proposes none."""
        return None

    def _score(self, items: list[Item], tick: Callable[[], None]) -> Iterator[tuple[Item, Outcome]]:
        from modelhub.ml.dermeval_score import score_narratives

        prompt, by_id, requests = prompt_of(self.training.base), dict[str, Item](), []
        for item in items:
            images = tuple(Path(image.file.path) for image in item.case.images.all())
            if not images:
                yield item, CannotEvaluate(f"Case {item.case.code} cannot be scored: {NO_IMAGE}.")
                continue
            by_id[str(item.version.public_id)] = item
            requests.append(Request(str(item.version.public_id), images, fill_prompt(prompt, item.version.text)))
        decoding = GenerationSettings(do_sample=False, max_new_tokens=self.row.identity["settings"]["max_new_tokens"])
        for scored in score_narratives(self._model(), requests, decoding, tick=tick):
            item = by_id[scored.id]
            yield item, CannotEvaluate(scored.sentence) if isinstance(scored, Failure) else self._result(item, scored)

    def _result(self, item: Item, scored: Any) -> EvaluationResult:
        critique = scored.critique
        problems = [f"{DIMENSION_NAMES[key]} has no readable line" for key in critique.unread]
        if item.case.diagnosis and names_reference(scored.text, item.case.diagnosis):
            problems.append(f"it names the diagnosis “{item.case.diagnosis}”, which DermEval must not propose")
        unread = len(critique.unread)
        return EvaluationResult(
            scores=self._read(scored),
            critique=scored.text,
            parse_status="parsed" if not unread else "partial" if unread < len(critique.scores) else "failed",
            problem="; ".join(problems),
            tokens=scored.tokens,
            seconds=scored.seconds,
        )

    def _read(self, scored: Any) -> Mapping[str, float | None]:
        reading = self.row.identity["settings"]["reading"]
        if reading == "fitted":
            from modelhub.ml.dermeval_lines import FittedLines

            return FittedLines.from_dict(self.row.identity["lines"]).read(scored.expected)
        found: dict[str, Mapping[str, float | None]] = {"expected": scored.expected, "greedy": scored.critique.scores}
        return found[reading]

    def _model(self) -> Any:
        """Raises ``ValueError`` where the files cannot be loaded or are not those that were registered."""
        if self._loaded is None:
            from modelhub.jobs.loaded_models import best_device, release_models
            from modelhub.ml.loading import LoadSpec, load

            release_models()  # the candidate's memory
            device = best_device()
            loaded = load(
                LoadSpec(
                    model_folder(self.training.base),
                    adapter_folder(self.training, self.stage),
                    precision="bfloat16" if device == "cuda" else "float32",
                    device=device,
                )
            )
            found = (loaded.identity.weights_sha256, loaded.identity.adapter_sha256)
            if found != (self.row.identity["base_sha256"], self.row.identity["adapter_sha256"]):
                raise ValueError(
                    f"The weight files of “{self.name}” have changed since it was trained. Put the original files back."
                )
            self._loaded = loaded
        return self._loaded
