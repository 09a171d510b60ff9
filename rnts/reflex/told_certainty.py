"""How certain the value of an alert is, and whether that decides about its threshold: as documents
and in words.

Words are those of snapshots: a percentile lies in its bucket, and, where samples were left out, in
the interval of sampling 95 % of the time.
"""

from typing import Any

from rnts.reflex.change import Certainty

_OF_BUCKET, _OF_SAMPLING = "the bucket's bound", "the sampling interval"


def certainty_document(certainty: Certainty | None) -> dict[str, Any]:
    """The bound of the bucket, and what sampling leaves open; nothing where nothing is known."""
    if certainty is None:
        return {}
    document: dict[str, Any] = {}
    if certainty.lower is not None:
        document["bucket_bound"] = [certainty.lower, certainty.upper]
    if certainty.effective_samples is not None:
        is_known = certainty.low is not None
        document["sampling"] = {
            "effective_samples": certainty.effective_samples,
            "interval": [certainty.low, certainty.high] if is_known else None,
        }
    return document


def seen_document(certainty: Certainty | None, threshold: float | None) -> dict[str, Any]:
    """The same of an alert's value, and, where its threshold is as near as that, within what."""
    document = certainty_document(certainty)
    if certainty and threshold is not None and (within := _within(certainty, threshold)):
        document["threshold_within"] = within
    return document


def in_words(certainty: Certainty) -> str:
    """For people: bucket 99.8 to 101, sampling 97 to 104 (41 effective samples)."""
    parts = []
    if certainty.lower is not None:
        parts.append(f"bucket {certainty.lower:.4g} to {certainty.upper:.4g}")
    if certainty.effective_samples is not None:
        is_known = certainty.low is not None
        ends = f"{certainty.low:.4g} to {certainty.high:.4g}" if is_known else "unknown"
        parts.append(f"sampling {ends} ({certainty.effective_samples:.4g} effective samples)")
    return ", ".join(parts)


def seen_in_words(document: dict[str, Any]) -> str:
    """What an alert's document says of it, for people; empty where nobody knows anything."""
    lower, upper = document.get("bucket_bound", (None, None))
    sampling = document.get("sampling", {})
    low, high = sampling.get("interval") or (None, None)
    words = in_words(Certainty(lower, upper, sampling.get("effective_samples"), low, high))
    within = document.get("threshold_within")
    return f"{words}, the threshold lies within {within}" if within else words


def _within(certainty: Certainty, threshold: float) -> str:
    """Within what the threshold lies, so that it may be on the other side of the true value."""
    ends = (
        (_OF_BUCKET, certainty.lower, certainty.upper),
        (_OF_SAMPLING, certainty.low, certainty.high),
    )
    found = [
        what
        for what, low, high in ends
        if low is not None and high is not None and low <= threshold <= high
    ]
    return " and ".join(found)
