"""Relabels until it is killed: `python -m tests.relabeller URL`."""

from __future__ import annotations

import sys
import threading
from datetime import UTC, datetime

import numpy as np

from auroramon.heads import Clusters, MahalanobisHead
from auroramon.relabel import Relabelling
from auroramon.store import Store, open_store
from auroramon.types import LABELS
from tests.store.station import model_row


def head() -> MahalanobisHead:
    means = np.random.default_rng(0).standard_normal((len(LABELS), 16)) * 0.3
    clusters = Clusters(means, np.eye(16))
    return MahalanobisHead(LABELS, clusters, clusters, temperature=0.2, threshold=9)


def relabelling(store: Store) -> Relabelling:
    model = store.register_model(model_row("new head", "embedder-a"))
    return Relabelling(store, store.start_run("relabel", datetime.now(UTC)), model, head(), batch=50)


if __name__ == "__main__":
    store = open_store(sys.argv[1])
    work = relabelling(store)
    print("started", flush=True)
    work.work(threading.Event())
    print("done", flush=True)
    store.close()
