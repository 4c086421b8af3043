"""The card itself: what it is, memory on it, copies to and from it. The only module that imports CUDA's bindings.

Not measured: written by the documentation of cuda-bindings 13, without a card at hand.
"""

from __future__ import annotations

import ctypes
import re
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from auroramon.backends.runtime import Card
from auroramon.errors import CardFullError, CardLostError, MissingPartError, NoCardError, UnusableCardError

DRIVER_LIBRARY = "nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1"
DRIVER_FILE = Path("/proc/driver/nvidia/version")
NON_BLOCKING = 1  # cudaStreamNonBlocking: waits for no other stream
OLDEST_DRIVER = {12: "525", 13: "580"}
"""Series of the driver that libraries of a CUDA version need, by NVIDIA's "CUDA Compatibility"."""


def cuda_runtime() -> Any:
    """Give the module of CUDA's runtime.

    Raises:
        MissingPartError: it is not installed.
    """
    try:
        from cuda.bindings import runtime
    except ImportError as error:
        raise MissingPartError(
            "running an engine needs CUDA's bindings: pip install 'auroramon[tensorrt-rtx]' (or [tensorrt])"
        ) from error
    return runtime


def first_card(cuda: Any = None, load: Callable[[str], object] = ctypes.CDLL) -> Card:
    """Give the card that CUDA calls number 0; CUDA_VISIBLE_DEVICES chooses another.

    Args:
        cuda: the module of CUDA's runtime; None takes the installed one, after the driver was found.
        load: loads a library by its name, or raises OSError.

    Raises:
        NoCardError: there is no driver.
        UnusableCardError: there is one, and no card, or the driver is too old.
        MissingPartError: the bindings are not installed.
    """
    try:
        load(DRIVER_LIBRARY)  # costs nothing, where the bindings cost a tenth of a second
    except OSError:
        raise NoCardError(f"no NVIDIA driver is loaded ({DRIVER_LIBRARY} is not found)") from None
    cuda = cuda_runtime() if cuda is None else cuda
    error, count = cuda.cudaGetDeviceCount()
    if error == cuda.cudaError_t.cudaErrorInsufficientDriver:
        raise UnusableCardError(_too_old(cuda))
    if error != cuda.cudaError_t.cudaSuccess or not count:
        said = "" if error == cuda.cudaError_t.cudaSuccess else f" ({_said(cuda, error)})"
        raise UnusableCardError(f"the NVIDIA driver shows no GPU{said}")
    error, properties = cuda.cudaGetDeviceProperties(0)
    if error != cuda.cudaError_t.cudaSuccess:
        raise UnusableCardError(f"the GPU does not answer ({_said(cuda, error)})")
    return Card(
        name=properties.name.split(b"\0")[0].decode(),
        capability=f"sm{properties.major}{properties.minor}",
        driver=_driver_version(cuda),
        memory=int(properties.totalGlobalMem),
    )


def check(result: Any, cuda: Any = None) -> Any:
    """Give what a call of CUDA gave, without its error code.

    Raises:
        CardLostError: the call failed.
        CardFullError: it failed for want of memory.
    """
    error, *values = result
    cuda = cuda_runtime() if cuda is None else cuda
    if error != cuda.cudaError_t.cudaSuccess:
        full = error == cuda.cudaError_t.cudaErrorMemoryAllocation
        raise (CardFullError if full else CardLostError)(f"the GPU failed: {_said(cuda, error)}")
    return values[0] if len(values) == 1 else tuple(values)


class Lane:
    """A stream with memory on the card for one batch: what one thread needs."""

    def __init__(self, sizes: dict[str, int], cuda: Any = None) -> None:
        """Take the memory.

        Args:
            sizes: bytes on the card, by tensor.
            cuda: the module of CUDA's runtime; None takes the installed one.

        Raises:
            CardFullError: the card has not so much memory left; what was taken until then is given back.
            CardLostError: it fails.
        """
        self._cuda = cuda_runtime() if cuda is None else cuda
        self.stream = self._check(self._cuda.cudaStreamCreateWithFlags(NON_BLOCKING))
        self.addresses: dict[str, int] = {}
        try:
            for name, size in sizes.items():
                self.addresses[name] = int(self._check(self._cuda.cudaMalloc(size)))
        except CardLostError:
            self.close()
            raise

    def _check(self, result: Any) -> Any:
        return check(result, self._cuda)

    def send(self, name: str, values: NDArray[Any]) -> None:
        """Begin to copy an array to the card; it must be contiguous, and live until `wait` returns."""
        kind = self._cuda.cudaMemcpyKind.cudaMemcpyHostToDevice
        self._check(self._cuda.cudaMemcpyAsync(
            self.addresses[name], values.ctypes.data, values.nbytes, kind, self.stream
        ))  # fmt: skip

    def fetch(self, name: str, shape: tuple[int, ...]) -> NDArray[np.float32]:
        """Begin to copy an array from the card; it holds nothing until `wait` returned."""
        values = np.empty(shape, dtype=np.float32)
        kind = self._cuda.cudaMemcpyKind.cudaMemcpyDeviceToHost
        self._check(self._cuda.cudaMemcpyAsync(
            values.ctypes.data, self.addresses[name], values.nbytes, kind, self.stream
        ))  # fmt: skip
        return values

    def wait(self) -> None:
        """Wait until everything begun is done.

        Raises:
            CardLostError: something of it failed.
        """
        self._check(self._cuda.cudaStreamSynchronize(self.stream))

    def close(self) -> None:
        """Give the memory back; a card that is lost has none to give."""
        for address in self.addresses.values():
            self._cuda.cudaFree(address)
        self.addresses.clear()
        self._cuda.cudaStreamDestroy(self.stream)


def reset(cuda: Any = None) -> None:
    """Let the card forget everything that this process has on it."""
    (cuda_runtime() if cuda is None else cuda).cudaDeviceReset()


class Occupants:
    """What this process has open on the card: a reset would take it from all of them, so the last to go makes it.

    While a new configuration is made ready, the engine of the old one works on beside it.
    """

    def __init__(self, reset: Callable[[], None] = reset) -> None:
        self._reset = reset
        self._turn = threading.Lock()  # nobody comes while the card is reset
        self.count = 0  # of those who are on it
        self._lost = False

    def enter(self) -> None:
        """Tell before anything is put on the card; `leave` must follow."""
        with self._turn:
            self.count += 1

    def leave(self, lost: bool) -> None:
        """Tell when everything was given back.

        Args:
            lost: the card failed; once nobody is left on it, it is reset.
        """
        with self._turn:
            self.count -= 1
            self._lost |= lost
            if self._lost and not self.count:
                self._lost = False
                self._reset()


OCCUPANTS = Occupants()
"""Those of this process."""


def _driver_version(cuda: Any) -> str:
    """Give the version of the kernel module, as nvidia-smi shows it; else the newest CUDA that the driver knows."""
    try:
        found = re.search(r"Kernel Module.*?\s(\d+\.[\d.]+)\s", DRIVER_FILE.read_text())
    except OSError:  # under Windows's Linux there is no such file
        found = None
    return found[1] if found else f"CUDA {_dotted(check(cuda.cudaDriverGetVersion(), cuda))}"


def _too_old(cuda: Any) -> str:
    """Say what driver is here, and what driver CUDA's bindings need: any of their major version will do."""
    _, newest = cuda.cudaDriverGetVersion()
    _, bindings = cuda.cudaRuntimeGetVersion()
    needed = bindings // 1000
    series = f" (series {OLDEST_DRIVER[needed]} or newer)" if needed in OLDEST_DRIVER else ""
    return (
        f"the NVIDIA driver {_driver_version(cuda)} serves CUDA up to {_dotted(newest)}, and the libraries that are "
        f"installed need one for CUDA {needed}{series}: update the driver, or see docs/gpu.md for older ones"
    )


def _dotted(version: int) -> str:
    return f"{version // 1000}.{version % 1000 // 10}"


def _said(cuda: Any, error: Any) -> str:
    _, text = cuda.cudaGetErrorString(error)
    return text.decode() if isinstance(text, bytes) else str(text)
