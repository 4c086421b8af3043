"""One Dask cluster for all executor tests that leave it whole."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.clusters import DaskCluster, running_cluster


@pytest.fixture(scope="session")
def dask_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DaskCluster]:
    with running_cluster(tmp_path_factory.mktemp("dask"), 2) as cluster:
        yield cluster
