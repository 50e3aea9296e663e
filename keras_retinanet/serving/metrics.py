"""The server's figures for Prometheus."""

from __future__ import annotations

from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from .models import Models

SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
IMAGES = (1, 2, 4, 8, 16, 32)


class Metrics:
    """Requests, batches and queues of a server, in a registry of their own."""

    def __init__(self, models: Models) -> None:
        self.models = models
        self.registry = CollectorRegistry()
        common: dict[str, Any] = {"namespace": "retinanet", "registry": self.registry}
        self.requests = Counter("requests", "Answers.", ("path", "status"), **common)
        self.seconds = Histogram(
            "request_seconds", "Time of an answer.", ("path",), buckets=SECONDS, **common
        )
        self.batches = Histogram(
            "batch_images", "Images in a batch.", ("model",), buckets=IMAGES, **common
        )
        self.busy = Counter("model_seconds", "Time spent in a model.", ("model",), **common)
        self.queue = Gauge("queue_images", "Images that wait.", ("model",), **common)
        self.restarts = Gauge("worker_restarts", "Processes started again.", ("model",), **common)
        models.observe = self.batch

    def answer(self, path: str, status: int, seconds: float) -> None:
        """Count an answer to a request of a route."""
        self.requests.labels(path, status).inc()
        self.seconds.labels(path).observe(seconds)

    def batch(self, name: str, images: int, seconds: float) -> None:
        """Count a batch of a model."""
        self.batches.labels(name).observe(images)
        self.busy.labels(name).inc(seconds)

    def text(self) -> bytes:
        """Return all figures in Prometheus's text format."""
        for name, served in self.models.served.items():
            versions = served.versions.values()
            self.queue.labels(name).set(sum(len(each.batcher.waiting) for each in versions))
            self.restarts.labels(name).set(sum(each.restarts for each in versions))
        return generate_latest(self.registry)
