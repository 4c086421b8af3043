"""What pulls embeddings of one class together: pytorch-metric-learning, with every choice written in the run file."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

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
        loss: Tensor = self._loss(embeddings, targets, self._miner(embeddings, targets))
        return loss


def build_loss(table: LossTable) -> nn.Module:
    """Give the loss that a run asks for."""
    return TripletLoss(table)
