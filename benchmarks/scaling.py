"""Predicts how fast a backfill of any size is, and checks the formula by simulation with an artificial store and clock.

    python -m benchmarks.scaling

The formula takes the tightest of four limits. The simulation knows none of them: it plays workers, one shared network,
a GPU and the one coordinator with its transactions, event by event, by a clock of its own. What both assume is in
`Costs`.
"""

from __future__ import annotations

import heapq
import random
from dataclasses import dataclass, replace

FRAMES = 700_000_000
BATCH = 80  # frames of one task: four THEMIS minutes
IN_HAND = 2  # batches for each worker
SPREAD = 0.2  # of the time of a batch, as a part of it


@dataclass(frozen=True)
class Costs:
    """What a frame costs; all measured on two cores but where it says otherwise (docs/scaling.md)."""

    worker_ms: float  # core time of reading, preparing, network and classifying
    coordinator_us: float = 27.0  # core time of claim and commit: benchmarks/store_size.py
    commit_us: float = 79.0  # elapsed time of both on PostgreSQL, where one writes at a time: benchmarks/writers.py
    kilobytes: float = 105.0  # read from the archive, compressed
    network_mb_s: float = 1_170.0  # 10 Gbit/s, less what its headers take: assumed
    gpu_us: float = 0.0  # of the one GPU, if there is one: assumed, never measured


@dataclass(frozen=True)
class Machine:
    """What works."""

    name: str
    cores: int  # the coordinator is one process beside the workers on them
    costs: Costs


def limits(machine: Machine) -> dict[str, float]:
    """Give frames a second that each part could take, were it alone."""
    costs = machine.costs
    found = {
        "cores": machine.cores * 1000 / (costs.worker_ms + costs.coordinator_us / 1000),
        "network": costs.network_mb_s * 1000 / costs.kilobytes,
        "database": 1e6 / costs.commit_us,
    }
    if costs.gpu_us:
        found["GPU"] = 1e6 / costs.gpu_us
    return found


def simulated(machine: Machine, batches: int, seed: int = 1) -> float:
    """Give frames a second of a backfill of so many batches, played event by event."""
    costs, draw = machine.costs, random.Random(seed)
    own = BATCH * costs.commit_us / 1e6
    # The coordinator works on the same cores.
    share = costs.worker_ms / (costs.worker_ms + costs.coordinator_us / 1000)
    network = gpu = coordinator = 0.0  # when each is free again, seconds
    events: list[tuple[float, bool, int]] = []  # when a worker is done, whether its batch then goes to the GPU
    given = done = 0
    end = 0.0

    def give(now: float, worker: int) -> None:
        nonlocal network, given
        given += 1
        network = max(now, network) + BATCH * costs.kilobytes / 1000 / costs.network_mb_s
        work = BATCH * costs.worker_ms / 1000 / share * max(0.1, draw.gauss(1.0, SPREAD))
        heapq.heappush(events, (network + work, bool(costs.gpu_us), worker))

    for worker in range(machine.cores):
        give(0.0, worker)
    while events:
        now, to_gpu, worker = heapq.heappop(events)
        if to_gpu:
            gpu = max(now, gpu) + BATCH * costs.gpu_us / 1e6
            heapq.heappush(events, (gpu, False, worker))
            continue
        coordinator = max(now, coordinator) + own
        done += 1
        end = max(end, coordinator)
        if given < batches:
            # A worker has a batch waiting and begins at once, unless the coordinator is behind by all that were given.
            give(max(now, coordinator - IN_HAND * machine.cores * own), worker)
    return done * BATCH / end


def main() -> None:
    machines = cases()
    print("| machine | limit by | frames/s: formula | simulation | days for 700 million | core hours |")
    print("|---|---|---:|---:|---:|---:|")
    for machine in machines:
        found = limits(machine)
        least = min(found, key=lambda name: found[name])
        rate = found[least]
        played = simulated(machine, batches=20_000)
        hours = FRAMES / rate / 3600 * machine.cores
        print(
            f"| {machine.name} | {least} | {rate:,.0f} | {played:,.0f} | {FRAMES / rate / 86400:.1f} | {hours:,.0f} |"
        )


def cases() -> list[Machine]:
    """Give the machines of docs/scaling.md."""
    int8, float32 = Costs(worker_ms=1.32), Costs(worker_ms=2.03)
    slow = replace(int8, network_mb_s=117.0)
    gpu = Costs(worker_ms=0.84, gpu_us=50.0)
    return [
        Machine("2 cores, int8", 2, int8),
        Machine("2 cores, float32", 2, float32),
        Machine("32 cores, int8, 10 Gbit/s", 32, int8),
        Machine("32 cores, float32, 10 Gbit/s", 32, float32),
        Machine("32 cores, int8, 1 Gbit/s", 32, slow),
        Machine("64 cores, int8, 10 Gbit/s", 64, int8),
        Machine("1 GPU, 8 cores decode (not measured)", 8, gpu),
        Machine("1 GPU, 32 cores decode (not measured)", 32, gpu),
    ]


if __name__ == "__main__":
    main()
