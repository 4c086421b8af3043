"""What pulls embeddings of one class together: pytorch-metric-learning, with every choice written in the run file."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from auroramon.types import LABELS
from train.runfile import LossTable


class TripletLoss(nn.Module):
    """Triplet margin loss (Schroff et al. 2015) over the triplets that a miner finds in a batch.

    `all` takes each triplet that violates the miner's margin, `semihard` those whose negative is farther than the
    positive but within the margin, `hard` those whose negative is nearer. Distances are Euclidean, on the unit sphere.
    """

    def __init__(self, table: LossTable) -> None:
        super().__init__()
        from pytorch_metric_learning.losses import TripletMarginLoss
        from pytorch_metric_learning.miners import TripletMarginMiner

        self._miner: Any = TripletMarginMiner(margin=table.miner_margin, type_of_triplets=table.miner)
        self._loss: Any = TripletMarginLoss(margin=table.margin)

    def forward(self, embeddings: Tensor, targets: Tensor) -> Tensor:
        """Give the mean over the triplets that violate the margin, of (N,D) embeddings and (N,) targets."""
        own = each_its_own(targets)
        loss: Tensor = self._loss(embeddings, own, self._miner(embeddings, own))
        return loss


def each_its_own(targets: Tensor) -> Tensor:
    """Give (N,) targets in which every frame that is no sky is a class of its own.

    So it is pushed away from the classes, but never pulled towards anything: what is no sky has nothing in common
    (outlier exposure: Hendrycks, Mazeika & Dietterich 2019).
    """
    alone = len(LABELS) + torch.arange(len(targets), device=targets.device)
    return torch.where(targets < len(LABELS), targets, alone)


def build_loss(table: LossTable) -> nn.Module:
    """Give the loss that a run asks for."""
    return TripletLoss(table)
