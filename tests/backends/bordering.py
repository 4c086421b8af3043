"""A model whose borders lie among the frames here, for what happens near them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from auroramon.backends.onnx import open_session
from auroramon.bundle import ModelBundle
from auroramon.bundle_writing import write_bundle
from auroramon.heads import Clusters, MahalanobisHead
from tests.backends.tiny_model import LABELS, SIZE, WIDTH, make_parts

FRAMES = 40
NEAR = 1.0


def frames(seed: int = 2) -> np.ndarray:
    """Frames of different brightness and contrast, so that their embeddings lie apart."""
    rng = np.random.default_rng(seed)
    each = rng.normal(size=(2, FRAMES, 2, 1, 1))
    return (each[0] + each[1] * rng.normal(size=(FRAMES, 2, SIZE, SIZE))).astype(np.float32)


def write_bordering(folder: Path) -> ModelBundle:
    """Write the model; the border of `unknown` lies among the frames, too."""
    parts = make_parts(folder / "parts", int8=True, near=NEAR)
    shown = open_session(parts.float32, 1).run(None, {"inputs": frames()})[0]
    tied = Clusters(shown[[3, 9, 17]].astype(float), np.eye(WIDTH) * 400)
    head = MahalanobisHead(LABELS, tied, tied, temperature=2.0, threshold=1.0)
    head = replace(head, threshold=float(np.median(head.judge(shown).distance)))
    golden = replace(parts.golden, scores=head.judge(parts.golden.embeddings).scores)
    return write_bundle(folder / "tiny-1", replace(parts, head=head, golden=golden))
