"""What pulls embeddings of one class together: pytorch-metric-learning, every choice written in the run file."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from auroramon.types import LABELS
from train.runfile import ArcFaceTable, LossTable, SupConTable, TripletTable


class TripletLoss(nn.Module):
    """Triplet margin loss (Schroff et al. 2015) over the triplets that a miner finds in a batch.

    `all` takes each triplet that violates the miner's margin, `semihard` those whose negative is farther than the
    positive but within the margin, `hard` those whose negative is nearer. Distances are Euclidean, on the unit sphere.
    """

    on_logits = False

    def __init__(self, table: TripletTable) -> None:
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


class ArcFaceLoss(nn.Module):
    """Additive angular margin loss (Deng et al. 2019), with a learnt centre for each class on the unit sphere."""

    on_logits = False

    def __init__(self, table: ArcFaceTable, width: int) -> None:
        super().__init__()
        from pytorch_metric_learning import losses

        self._loss: nn.Module = losses.ArcFaceLoss(len(LABELS), width, margin=table.margin_deg, scale=table.scale)

    def forward(self, embeddings: Tensor, targets: Tensor) -> Tensor:
        """Give the mean over (N,D) embeddings with (N,) targets; what is no sky has no centre and is left out."""
        known = targets < len(LABELS)
        loss: Tensor = self._loss(embeddings[known], targets[known])
        return loss


class SupConLoss(nn.Module):
    """Supervised contrastive loss (Khosla et al. 2020) over the frames of a batch."""

    on_logits = False

    def __init__(self, table: SupConTable) -> None:
        super().__init__()
        from pytorch_metric_learning import losses

        self._loss: nn.Module = losses.SupConLoss(temperature=table.temperature)

    def forward(self, embeddings: Tensor, targets: Tensor) -> Tensor:
        """Give the mean over the anchors that have another frame of their class, of (N,D) embeddings."""
        loss: Tensor = self._loss(embeddings, each_its_own(targets))
        return loss


class CrossEntropyLoss(nn.Module):
    """Softmax cross entropy of the last layer's outputs before they are brought to unit length, one for each class."""

    on_logits = True

    def forward(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Give the mean over (N,K) logits with (N,) targets; what is no sky is left out."""
        known = targets < len(LABELS)
        return functional.cross_entropy(logits[known], targets[known])


Loss = TripletLoss | ArcFaceLoss | SupConLoss | CrossEntropyLoss
"""`on_logits` says whether it takes the last layer's outputs, or the embeddings of unit length."""


def build_loss(table: LossTable, width: int) -> Loss:
    """Give the loss that a run asks for, for embeddings of D = `width`; ArcFace brings weights of its own to train."""
    if isinstance(table, TripletTable):
        return TripletLoss(table)
    if isinstance(table, ArcFaceTable):
        return ArcFaceLoss(table, width)
    return SupConLoss(table) if isinstance(table, SupConTable) else CrossEntropyLoss()
