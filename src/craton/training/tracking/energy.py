"""Joules, where the machine counts them; nothing is guessed where it does not.

Processors: the kernel's powercap tree (https://docs.kernel.org/power/powercap/powercap.html), which Intel's and AMD's
RAPL counters fill. Graphics processors: NVML's `nvmlDeviceGetTotalEnergyConsumption`
(https://docs.nvidia.com/deploy/nvml-api/). Both are of whole packages and devices: other work on them is in them.
"""

from __future__ import annotations

import ctypes
import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

POWERCAP = Path("/sys/class/powercap")
NVML = "libnvidia-ml.so.1"
LOOK = 30.0  # seconds: a server's counter goes round in two minutes and more
PROCESSORS, GRAPHICS = "joules", "gpu_joules"


@dataclass(slots=True)
class Counter:
    """of: which figure it is a part of. read: units since some moment; raises OSError, ValueError. unit: joules of one.
    goes_round: the units after which it begins at 0 again, 0 when it never does."""

    of: str
    read: Callable[[], int]
    unit: float
    goes_round: int = 0
    last: int = 0
    spent: int = 0
    told: bool = True

    def look(self) -> None:
        try:
            now = self.read()
        except (OSError, ValueError):
            self.told = False
            return
        if now < self.last and not self.goes_round:
            self.told = False  # it began anew: what was before is lost
        self.spent += now - self.last + (self.goes_round if now < self.last else 0)
        self.last = now


class Meter:
    """Looks now and then, so that no counter goes round unseen. Safe in threads; its own one ends with the process."""

    def __init__(
        self, powercap: Path = POWERCAP, nvml: str = NVML, environment: Mapping[str, str] = os.environ
    ) -> None:
        self._lock, self._counters = threading.Lock(), list[Counter]()
        for counter in [*packages(powercap), *devices(nvml, environment)]:
            counter.look()
            if counter.told:
                counter.spent = 0
                self._counters.append(counter)
        if self._counters:
            threading.Thread(target=self._look_regularly, name="energy", daemon=True).start()

    def joules(self) -> dict[str, float]:
        """Since it began: of the processors, of the graphics processors. Absent what the machine does not tell."""
        self._look()
        found = {}
        for of in (PROCESSORS, GRAPHICS):
            mine = [one for one in self._counters if one.of == of]
            if mine and all(one.told for one in mine):
                found[of] = round(sum(one.spent * one.unit for one in mine), 1)
        return found

    def _look(self) -> None:
        with self._lock:
            for counter in self._counters:
                counter.look()

    def _look_regularly(self) -> None:
        while True:
            time.sleep(LOOK)
            self._look()


def packages(powercap: Path) -> Iterator[Counter]:
    """One for each processor. What is within a package is counted in it; what is around it (psys) counts it again."""
    for zone in sorted(powercap.glob("*-rapl:[0-9]*")):
        try:
            name, range_ = ((zone / file).read_text().strip() for file in ("name", "max_energy_range_uj"))
            if zone.name.count(":") == 1 and name.startswith("package"):
                yield Counter(PROCESSORS, partial(_read_file, zone / "energy_uj"), 1e-6, int(range_))
        except (OSError, ValueError):
            continue


def devices(library: str, environment: Mapping[str, str]) -> Iterator[Counter]:
    """One for each graphics processor that this process may use."""
    try:
        nvml = ctypes.CDLL(library)
        count = ctypes.c_uint()
        if nvml.nvmlInit_v2() or nvml.nvmlDeviceGetCount_v2(ctypes.byref(count)):
            return
        named = environment.get("CUDA_VISIBLE_DEVICES")
        chosen = range(count.value) if named is None else [one.strip() for one in named.split(",") if one.strip()]
        for one in chosen:
            handle = ctypes.c_void_p()
            if str(one).isdecimal():
                missing = nvml.nvmlDeviceGetHandleByIndex_v2(ctypes.c_uint(int(one)), ctypes.byref(handle))
            else:
                missing = nvml.nvmlDeviceGetHandleByUUID(str(one).encode(), ctypes.byref(handle))
            if not missing:
                yield Counter(GRAPHICS, _reader(nvml, handle), 1e-3)
    except (OSError, AttributeError):  # no such library, or one without these functions
        return


def _read_file(path: Path) -> int:
    return int(path.read_text())


def _reader(nvml: ctypes.CDLL, handle: ctypes.c_void_p) -> Callable[[], int]:
    def read() -> int:
        found = ctypes.c_ulonglong()
        error = nvml.nvmlDeviceGetTotalEnergyConsumption(handle, ctypes.byref(found))
        if error:
            raise OSError(error, "NVML tells no energy of this device")
        return found.value

    return read
