"""What Prometheus reads; a registry of its own, so that one process can hold several services."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest


class Metrics:
    """Requests by status, seconds a request, samples a pass, samples that wait."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self.requests = Counter("mire_requests", "Classify requests by status", ["status"], registry=self._registry)
        self.seconds = Histogram("mire_request_seconds", "Seconds a classify request took", registry=self._registry)
        self.batch_size = Histogram(
            "mire_batch_size", "Samples in one pass", buckets=(1, 2, 4, 8, 16, 32), registry=self._registry
        )
        self.waiting = Gauge("mire_waiting_samples", "Samples that wait for a pass", registry=self._registry)

    def text(self) -> bytes:
        """Prometheus' text format."""
        return generate_latest(self._registry)
