"""Metrics in Prometheus' text format: what the database says of all processes, and this process's own requests."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily, HistogramMetricFamily, Metric
from sqlalchemy import func, select

from radiolucent.clinic.ops.performance import first_drafts, outcomes
from radiolucent.clinic.store.engine import Store
from radiolucent.clinic.store.tables import AuditEntry, Case, Critical, Job

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
DRAFT_SECONDS = (5.0, 15.0, 30.0, 60.0, 120.0, 300.0, 900.0, 3600.0)

OWN = CollectorRegistry()
REQUESTS = Counter(
    "radiolucent_requests", "Requests answered by this process.", ("method", "route", "status"), registry=OWN
)
SECONDS = Histogram("radiolucent_request_seconds", "Time to answer.", ("route",), registry=OWN)


def exposition(store: Store) -> bytes:
    """Everything there is to scrape; aggregates only."""
    registry = CollectorRegistry()
    registry.register(_FromDatabase(store))
    return generate_latest(registry) + generate_latest(OWN)


class _FromDatabase:
    """Read at each scrape, so that several server and worker processes tell one story."""

    def __init__(self, store: Store) -> None:
        self.store = store

    def describe(self) -> list[Metric]:
        return []

    def collect(self) -> Iterator[Metric]:
        now = self.store.now()
        with self.store.read() as session:
            jobs = session.execute(select(Job.kind, Job.state, func.count()).group_by(Job.kind, Job.state)).all()
            oldest = session.scalar(select(func.min(Job.created_at)).where(Job.state == "ready"))
            states = session.execute(select(Case.state, func.count()).group_by(Case.state)).all()
            drafts = first_drafts(session)
            calls = session.scalar(
                select(func.count())
                .select_from(Critical)
                .where(Critical.completed_at.is_(None), Critical.withdrawn_at.is_(None))
            )
            trail = session.scalar(select(func.max(AuditEntry.seq)))
        depth = GaugeMetricFamily("radiolucent_queue_depth", "Jobs by kind and state.", labels=("kind", "state"))
        for kind, state, count in jobs:
            depth.add_metric((kind, state), count)
        yield depth
        waited = 0.0 if oldest is None else max(0.0, (now - oldest).total_seconds())
        yield GaugeMetricFamily("radiolucent_queue_oldest_seconds", "Age of the oldest ready job.", value=waited)
        cases = GaugeMetricFamily("radiolucent_cases", "Cases by state.", labels=("state",))
        for state, count in states:
            cases.add_metric((state,), count)
        yield cases
        yield _histogram([max(0.0, (made - received).total_seconds()) for made, received in drafts])
        yield GaugeMetricFamily("radiolucent_criticals_open", "Critical value records not complete.", value=calls or 0)
        yield GaugeMetricFamily("radiolucent_audit_entries", "Entries of the audit trail.", value=trail or 0)
        ruled = GaugeMetricFamily("radiolucent_findings_ruled", "AI findings decided on.", labels=("code",))
        rate = GaugeMetricFamily(
            "radiolucent_override_rate", "Share of decided AI findings changed or rejected.", labels=("code",)
        )
        for one in outcomes(self.store):
            ruled.add_metric((one.code,), one.ruled)
            rate.add_metric((one.code,), one.overridden / one.ruled)
        yield ruled
        yield rate


def _histogram(seconds: list[float]) -> HistogramMetricFamily:
    buckets = [(str(bound), float(sum(one <= bound for one in seconds))) for bound in DRAFT_SECONDS]
    found = HistogramMetricFamily("radiolucent_time_to_draft_seconds", "From a case's receipt to its first draft.")
    found.add_metric((), [*buckets, ("+Inf", float(len(seconds)))], sum(seconds))
    return found
