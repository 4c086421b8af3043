"""Errors, named by what the caller may do about them."""

from __future__ import annotations


class AuroramonError(Exception):
    """One sentence for a person: what is wrong, with which file, and what to do."""


class ConfigError(AuroramonError):
    """The configuration cannot be used: the program ends before the first frame (exit code 2)."""


class BundleError(AuroramonError):
    """The model cannot be trusted: the program ends before the first frame (exit code 1)."""


class StoreError(AuroramonError):
    """The database cannot be used as it is (newer schema, malformed, wrong URL)."""


class NoDatabaseError(StoreError):
    """There is no database yet."""


class DamagedDatabaseError(StoreError):
    """The database file is malformed, and a copy must take its place.

    Args:
        sentence: what is wrong, with which file, and what to do.
        said: what SQLite said, in a line.
    """

    def __init__(self, sentence: str, said: str) -> None:
        super().__init__(sentence)
        self.said = said


class StoreBusyError(StoreError):
    """The database is locked, full or away for now: keep the work and try again."""


class MissingPartError(AuroramonError):
    """An optional library is not installed; the sentence names the pip command."""


class FrameError(AuroramonError):
    """This file, or the rest of it, will never give a frame: do not try again."""


class NotReadyError(AuroramonError):
    """This file is not complete yet, or cannot be reached now: try again later."""


class EngineError(AuroramonError):
    """An engine for the GPU cannot be built, loaded or trusted."""


class UnloadableError(EngineError):
    """An engine is whole, and the library does not take it: another version, card or driver than it was built for."""


class UnbuiltEngineError(EngineError):
    """The engine that was asked for is not built or not tried yet, and whoever asks only looks."""


class NoCardError(EngineError):
    """There is no NVIDIA GPU that can be used: no driver, no card, or one that the library does not support."""


class UnusableCardError(NoCardError):
    """NVIDIA's driver is there, and its GPU cannot be used: what was meant for it runs on the processor."""


class CardLostError(EngineError):
    """The GPU failed while it worked: the program ends (exit code 1) unless another backend may take over."""


class CardFullError(CardLostError):
    """The GPU has not the memory that was asked for: handled as a lost card is, and nothing on it is lost."""


class StoppedError(AuroramonError):
    """The program was told to stop before it could begin."""
