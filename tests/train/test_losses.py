"""The losses against slow references, at angles that are known."""

from __future__ import annotations

import math
from itertools import permutations
from typing import Literal

import pytest
import torch

from train.losses import build_loss
from train.runfile import ArcFaceTable, CrossEntropyTable, SupConTable, TripletTable

MARGIN = 0.3


def table(miner: Literal["all", "semihard", "hard"]) -> TripletTable:
    return TripletTable(kind="triplet", margin=MARGIN, miner=miner, miner_margin=MARGIN)


def on_circle(*degrees: float) -> torch.Tensor:
    angles = torch.tensor(degrees, dtype=torch.float64) * math.pi / 180
    return torch.stack([angles.cos(), angles.sin()], dim=1)


def slow(points: torch.Tensor, targets: torch.Tensor, miner: str) -> float:
    """Chords between all triplets, one by one; the mean over those that violate the margin."""
    losses = []
    for a, p, n in permutations(range(len(points)), 3):
        if targets[a] != targets[p] or targets[a] == targets[n]:
            continue
        positive = float((points[a] - points[p]).norm())
        negative = float((points[a] - points[n]).norm())
        gap = negative - positive
        wanted = {"all": gap <= MARGIN, "semihard": 0 < gap <= MARGIN, "hard": gap <= 0}[miner]
        if wanted and positive - negative + MARGIN > 0:
            losses.append(positive - negative + MARGIN)
    return sum(losses) / max(len(losses), 1)


@pytest.mark.parametrize("miner", ["all", "semihard", "hard"])
def test_the_loss_is_the_mean_over_the_triplets_that_violate_the_margin(
    miner: Literal["all", "semihard", "hard"],
) -> None:
    points = on_circle(0, 25, 31, 40, 90, 100, 133)
    targets = torch.tensor([0, 0, 1, 0, 1, 2, 2])
    found = float(build_loss(table(miner), 2)(points, targets))
    assert found > 0
    assert found == pytest.approx(slow(points, targets, miner), rel=1e-6)


def test_classes_far_apart_cost_nothing() -> None:
    targets = torch.tensor([0, 0, 1, 1])
    assert float(build_loss(table("all"), 2)(on_circle(0, 1, 180, 181), targets)) == 0


def test_what_is_no_sky_is_pushed_away_but_never_pulled_together() -> None:
    sky = torch.tensor([0, 0, 6, 6])
    loss = build_loss(table("all"), 2)
    # Two frames that are no sky may lie anywhere, if only they are far from the class
    assert float(loss(on_circle(0, 1, 120, 240), sky)) == 0
    # Each of them is a negative of both frames of the class
    found = float(loss(on_circle(0, 20, 21, 200), sky))
    assert found == pytest.approx(slow(on_circle(0, 20, 21, 200), torch.tensor([0, 0, 8, 9]), "all"), rel=1e-6)
    assert found > 0


def test_one_known_triplet() -> None:
    targets = torch.tensor([0, 0, 1])
    # Chords: 60 degrees is 1, 90 degrees is the root of 2; from the anchor at 0 the negative is nearer by that.
    anchor_at_0 = math.sqrt(2) - 1 + MARGIN
    anchor_at_90 = math.sqrt(2) - 2 * math.sin(math.radians(15)) + MARGIN
    found = float(build_loss(table("all"), 2)(on_circle(0, 90, 60), targets))
    assert found == pytest.approx((anchor_at_0 + anchor_at_90) / 2, rel=1e-6)


def test_arcface_adds_its_margin_to_the_angle_to_the_own_centre() -> None:
    loss = build_loss(ArcFaceTable(kind="arcface", margin_deg=20, scale=5), 2)
    (centres,) = loss.parameters()
    with torch.no_grad():
        centres.copy_(on_circle(0, 60, 120, 180, 240, 300).T)
    points, targets = on_circle(10, 100).float(), torch.tensor([0, 1])
    expected = []
    for degrees, own in ((10, 0), (100, 1)):
        away = [abs((degrees - 60 * k + 180) % 360 - 180) for k in range(6)]
        logits = [5 * math.cos(math.radians(a + 20 * (k == own))) for k, a in enumerate(away)]
        expected.append(math.log(sum(map(math.exp, logits))) - logits[own])
    assert loss(points, targets).item() == pytest.approx(sum(expected) / 2, rel=1e-5)
    # What is no sky has no centre: nothing changes
    more = torch.cat([points, on_circle(200).float()])
    assert loss(more, torch.tensor([0, 1, 6])).item() == pytest.approx(sum(expected) / 2, rel=1e-5)


def test_supervised_contrastive_is_the_mean_log_share_of_the_own_class() -> None:
    points, targets = on_circle(0, 30, 80, 200, 140), torch.tensor([0, 0, 1, 1, 6])
    own = [0, 0, 1, 1, 7]
    near = [[math.exp(float(points[a] @ points[b]) / 0.5) for b in range(5)] for a in range(5)]
    expected = []
    for a in range(4):  # the fifth is no sky: alone in its class, it is a negative only
        (partner,) = [b for b in range(5) if b != a and own[b] == own[a]]
        expected.append(-math.log(near[a][partner] / sum(near[a][b] for b in range(5) if b != a)))
    found = float(build_loss(SupConTable(kind="supcon", temperature=0.5), 2)(points, targets))
    assert found == pytest.approx(sum(expected) / 4, rel=1e-5)


def test_cross_entropy_takes_what_comes_before_the_unit_length() -> None:
    loss = build_loss(CrossEntropyTable(kind="cross_entropy"), 6)
    assert loss.on_logits
    logits = torch.tensor([[3.0, 0, 0, 0, 0, 0], [0, 0, 1.0, 0, 0, 0], [9.0, 0, 0, 0, 0, 0]])
    expected = (math.log(math.e**3 + 5) - 3 + math.log(math.e + 5) - 1) / 2
    assert float(loss(logits, torch.tensor([0, 2, 6]))) == pytest.approx(expected, rel=1e-6)
