"""What Prometheus reads, in a registry of its own, so that one process can hold several services."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info, generate_latest

from ensemble.classify import Classification
from ensemble.decisions.threshold_file import is_unlike, review_reasons
from ensemble.panel import Panel
from mire.labels import Task

_TENTHS = tuple(number / 10 for number in range(1, 11))


class Metrics:
    """Requests by status, seconds per request, samples per pass, samples that wait; which panel answers, and what.

    The answers are counted as ``mire drift`` compares them: labels, probabilities, and those for review, unlike
    anything seen, routed by fallback and degraded.
    """

    def __init__(self, *, fingerprint: str) -> None:
        self._registry = CollectorRegistry()
        self._panel = Info("mire_panel", "The panel that answers", registry=self._registry)
        self.name_panel(fingerprint)
        self.requests = Counter("mire_requests", "Requests of /v1/ by status", ["status"], registry=self._registry)
        self.seconds = Histogram("mire_request_seconds", "Seconds per request of /v1/", registry=self._registry)
        self.batch_size = Histogram(
            "mire_batch_size", "Samples in one pass", buckets=(1, 2, 4, 8, 16, 32), registry=self._registry
        )
        self.waiting = Gauge("mire_waiting_samples", "Samples that wait for a pass", registry=self._registry)
        self._answers = Counter("mire_answers", "Answers by label", ["task", "label"], registry=self._registry)
        self._probability = Histogram(
            "mire_answer_probability", "The labels' probabilities", ["task"], buckets=_TENTHS, registry=self._registry
        )
        self._marked = Counter(
            "mire_marked_answers",
            "Answers for review, unlike anything seen, routed by fallback, degraded",
            ["task", "mark"],
            registry=self._registry,
        )
        self._shadow = Counter(
            "mire_shadow_answers",
            "Answers of the second panel beside the first one's: same, different, failed, dropped",
            ["task", "outcome"],
            registry=self._registry,
        )

    def name_panel(self, fingerprint: str) -> None:
        """Say that this panel answers from now on."""
        self._panel.info({"fingerprint": fingerprint})

    def count_answer(self, found: Classification, panel: Panel) -> None:
        """Count a panel's answer; without a threshold only what is unlike anything seen is for review."""
        thresholds = panel.tasks[found.task].thresholds
        unsure = thresholds is not None and thresholds.asks_review(found.probability)
        self._answers.labels(found.task, found.label).inc()
        self._probability.labels(found.task).observe(found.probability)
        marks = {
            "review": bool(review_reasons(unsure=unsure, familiarity=found.familiarity)),
            "unlike": is_unlike(found.familiarity),
            "fallback": found.route.is_fallback,
            "degraded": bool(found.problems),
        }
        for mark, holds in marks.items():
            self._marked.labels(found.task, mark).inc(holds)

    def count_shadow(self, task: Task, outcome: str) -> None:
        """Count how an answer compares with the second panel's."""
        self._shadow.labels(task, outcome).inc()

    def text(self) -> bytes:
        """Prometheus' text format."""
        return generate_latest(self._registry)
