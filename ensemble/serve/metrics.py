"""What Prometheus reads; a registry of its own, so that one process can hold several services."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info, generate_latest


class Metrics:
    """Requests by status, seconds a request, samples a pass, samples that wait; which panel answers."""

    def __init__(self, *, fingerprint: str) -> None:
        self._registry = CollectorRegistry()
        Info("mire_panel", "The panel that answers", registry=self._registry).info({"fingerprint": fingerprint})
        self.requests = Counter("mire_requests", "Requests of /v1/ by status", ["status"], registry=self._registry)
        self.seconds = Histogram("mire_request_seconds", "Seconds a request of /v1/ took", registry=self._registry)
        self.batch_size = Histogram(
            "mire_batch_size", "Samples in one pass", buckets=(1, 2, 4, 8, 16, 32), registry=self._registry
        )
        self.waiting = Gauge("mire_waiting_samples", "Samples that wait for a pass", registry=self._registry)

    def text(self) -> bytes:
        """Prometheus' text format."""
        return generate_latest(self._registry)
