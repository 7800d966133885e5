"""The README that travels with a classification version."""

from typing import Any


def labelled_card(manifest: dict[str, Any]) -> str:
    """Markdown: what it is, what is in it by label, tone and source, what is left out, and its limits."""
    counts = manifest["counts"]
    labels = "\n".join(f"| {label} | {count} |" for label, count in manifest["labels"].items())
    tones = "\n".join(
        f"| {row['scale'] or 'not known'} | {row['tone'] or 'not known'} | {row['records']} |"
        for row in manifest["skin_tones"]
    )
    sources = "\n".join(
        f"| {name} | {entry['licence']} | {entry['redistribute']} |" for name, entry in manifest["sources"].items()
    )
    return f"""# {manifest["dataset"]}

**Research use only.** Not a medical device; not for diagnosis or treatment.

Held-out cases with their diagnoses as labels, without texts. These cases must not be used for training.
{manifest["rule"]["words"]} Rule `{manifest["rule"]["content_hash"]}`.

Content hash: `{manifest["content_hash"]}`. Frozen: {manifest["frozen_at"][:10]}.

## Contents

{counts["records"]} cases, {counts["images_included"]} images included, {counts["images_by_reference"]} by reference \
only (see `images.jsonl`: path and checksums; `original_sha256` is of the file at its source). {counts["excluded"]} \
cases are left out because their source forbids redistribution; `manifest.json` lists them.

| label | cases |
|---|---|
{labels}

| skin tone scale | tone | cases |
|---|---|---|
{tones}

| source | licence | images |
|---|---|---|
{sources}

## Files

- `classification.jsonl`: a case a line: `id`, `source`, `split`, `label`, `label_basis` (how the diagnosis was made, \
null if not recorded), `skin_tone` with its scale, `images` (relative to this folder).
- `records.jsonl`: what was frozen, in order. SHA-256 of the canonical JSON of all frozen records is the content hash; \
with cases left out it cannot be computed from this archive alone.
- `runs/N/candidates.jsonl`: what each model of run N answered about each case above: the text, the final diagnosis \
that was read, whether it is right (null: it could not be read), and how it was written. `runs/N/results.json`: the \
run's figures over all frozen cases, those left out here included, with all its hashes.
- `SHA256SUMS`: check with `sha256sum -c SHA256SUMS`.
"""
