"""The README that travels with a dataset."""

from typing import Any

from scoring.models import DatasetVersion
from scoring.services.datasets import PUBLISHED

_WHAT = {
    DatasetVersion.Kind.DERMCOT: (
        "Diagnostic chains of thought about dermatological images, each scored by dermatologists on six dimensions "
        "(0 to 5), corrected where needed, and certified. `train.jsonl` has one narrative a line in the schema of "
        "SkinGPT-R1's trainer: `messages`, `images` and, where the skin tone's scale has a mapping, `skin_labels` "
        "(0 light, 1 medium, 2 dark; Fitzpatrick I–II, III–IV, V–VI)."
    ),
    DatasetVersion.Kind.FILTERED: (
        "Diagnostic chains of thought about dermatological images that an automatic evaluator kept. **No dermatologist "
        "certified them**; do not count them with certified narratives. `train.jsonl` has one narrative a line in the "
        "schema of SkinGPT-R1's trainer; each line of `records.jsonl` has the scores that kept it."
    ),
    DatasetVersion.Kind.DERMBENCH: (
        "Reference narratives of held-out cases, one certified text a case (the one certified last). "
        "`dermbench.jsonl` has the published layout: `id`, `source`, `split`, `category` (not known here), "
        "`diagnosis`, `dermnet_image_path` (the first image, relative to this folder), `cot`, `cot_sha256`; `images` "
        "lists all images of the case. These cases must not be used for training."
    ),
}

_PUBLISHED = (
    "Reference narratives of held-out cases **as they were published, certified by nobody here**; the texts listed "
    "under `excluded_references` in `manifest.json` were left out by an adjudicator, with the reason. "
    "`dermbench.jsonl` has the published layout. These cases must not be used for training."
)


def data_card(dataset: DatasetVersion, manifest: dict[str, Any]) -> str:
    """Markdown: what it is, how it was made, what is in it, what is missing, and its limits."""
    counts = manifest["counts"]
    tones = "\n".join(
        f"| {row['scale'] or 'not known'} | {row['tone'] or 'not known'} | {row['records']} |"
        for row in manifest["skin_tones"]
    )
    sources = "\n".join(
        f"| {name} | {entry['licence']} | {entry['redistribute']} |" for name, entry in manifest["sources"].items()
    )
    policies = "\n".join(
        f"- overlap {entry['settings']['overlap']}, every mean at least {entry['settings']['minimum_mean']:g}, a "
        f"Safety score of {entry['settings']['safety_veto']:g} or less or a range of "
        f"{entry['settings']['dispute_range']:g} "
        "or more goes to an adjudicator"
        f"{', as does a final diagnosis that is not the reference' if entry['settings'].get('diagnosis_veto') else ''}"
        for entry in manifest["policies"]
    )
    return f"""# {manifest["dataset"]}

**Research use only.** Not a medical device; not for diagnosis or treatment. The texts need clinical review.

{_PUBLISHED if manifest["part"] == PUBLISHED else _WHAT[DatasetVersion.Kind(dataset.kind)]}

Content hash: `{manifest["content_hash"]}`. Frozen: {manifest["frozen_at"][:10]}.

## Contents

{counts["records"]} narratives ({counts["adjudicated"]} accepted by an adjudicator), {counts["ratings"]} ratings by \
{counts["raters"]} raters{_simulated(counts["simulated_ratings"])}, {counts["images_included"]} images included, \
{counts["images_by_reference"]} by reference only (see `images.jsonl`: path and checksums; `original_sha256` is of the \
file at its source). {counts["excluded"]} items are left out because their source forbids redistribution; \
`manifest.json` lists them.

| skin tone scale | tone | narratives |
|---|---|---|
{tones}

| source | licence | images |
|---|---|---|
{sources}

{_conditioning(manifest["conditioning"])}

{_how(manifest, policies)} The rubric's words are in `rubric.json`.

## Files

- `records.jsonl`: where each narrative comes from, in order. SHA-256 of the canonical JSON of all frozen records is \
the content hash; with items left out it cannot be computed from this archive alone. `conditioning` says whether \
the author of a text's first draft had been told the reference diagnosis: `none` (not told), `label_at_reasoning` \
(told while reasoning, as DermCoT's published pipeline does), or null (not known, as for imported texts).
- `ratings.jsonl`: scores under pseudonyms that differ between studies. \
Comments are left out: free text can name people.
Where the study asked for it, each has the rater's own diagnosis from before she saw the text.
- `step_labels.jsonl`: which steps raters marked as right or wrong, in the released texts and in the drafts before \
them, with error types, severities and offsets in Unicode code points.
- `SHA256SUMS`: check with `sha256sum -c SHA256SUMS`.
"""


def _how(manifest: dict[str, Any], policies: str) -> str:
    if rule := manifest["rule"]:
        return f"## How a text was kept\n\n{rule['words']}\nRule `{rule['content_hash']}`."
    return f"## How a text was certified\n\n{policies}\n\nNobody's score of a text she wrote counts."


def _conditioning(counts: dict[str, int]) -> str:
    told, blind = counts.get("label_at_reasoning", 0), counts.get("none", 0)
    unknown = sum(counts.values()) - told - blind
    return (
        "## What the first drafts were told\n\n"
        f"The first drafts of {told} narratives were written by a model that had been told the reference diagnosis "
        f"while it reasoned, {blind} without it; of {unknown} this is not known. A text whose author was told the "
        "diagnosis must not be read as one by a model that found it."
    )


def _simulated(count: int) -> str:
    return f" ({count} of them simulated, not given by people)" if count else ""
