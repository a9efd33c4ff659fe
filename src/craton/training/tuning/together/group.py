"""The processes of a tuning as torch has them: gloo between CPUs, NCCL between GPUs.

Nothing that is pickled travels: what is told are frames, what is exchanged are tensors.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import msgspec

from craton.core.errors import InvalidRequest
from craton.training.protocol import Meeting
from craton.training.tuning.memory import Shared
from craton.training.tuning.together.frames import Told

if TYPE_CHECKING:
    import torch

SILENT = timedelta(minutes=10)  # until a process that says nothing counts as lost; one that died is missed at once
LONG = timedelta(days=7)  # a helper waits: that the leader is gone it hears elsewhere


class Scattered(Exception):
    """A process was lost, and with it its part of the model."""


class Group:
    """One for the whole process, as torch's is."""

    def __init__(self, meeting: Meeting) -> None:
        """Raises Scattered, InvalidRequest where some have a GPU and some have none."""
        from torch import cuda, distributed

        self.rank, self.size = meeting.rank, meeting.size
        listener = None if meeting.listener is None else meeting.listener.detach()
        timeout = LONG if self.rank else SILENT
        store_of: Any = distributed.TCPStore  # type: ignore[attr-defined]
        os.environ["GLOO_SOCKET_IFNAME"] = os.environ["NCCL_SOCKET_IFNAME"] = interface(meeting.here)
        with scattering():
            store = store_of(
                meeting.host,
                meeting.port,
                self.size,
                self.rank == 0,
                SILENT,
                wait_for_workers=False,
                master_listen_fd=listener,
            )
            store.set(f"place {self.rank}", f"{meeting.here} {cuda.device_count()}")
            places = [store.get(f"place {rank}").decode().split() for rank in range(self.size)]
            machine = meeting.here
            self._number = sum(where == machine for where, _ in places[: self.rank])
            self.shared = _shared(places, machine)
            if self.shared.gpu:
                cuda.set_device(self._number)
            backend = "cpu:gloo,cuda:nccl" if self.shared.gpu else "gloo"
            distributed.init_process_group(backend, store=store, rank=self.rank, world_size=self.size, timeout=timeout)

    @property
    def device(self) -> torch.device:
        import torch

        return torch.device("cuda", self._number) if self.shared.gpu else torch.device("cpu")

    def tell(self, told: Told) -> None:
        """The leader's. Raises Scattered."""
        import torch
        from torch import distributed

        said = torch.frombuffer(bytearray(msgspec.msgpack.encode(told)), dtype=torch.uint8)
        with scattering():
            distributed.broadcast(torch.tensor([len(said)]), 0)
            distributed.broadcast(said, 0)

    def hear(self) -> Told:
        """A helper's. Raises Scattered."""
        import torch
        from torch import distributed

        size = torch.zeros(1, dtype=torch.int64)
        with scattering():
            distributed.broadcast(size, 0)
            said = torch.empty(int(size), dtype=torch.uint8)
            distributed.broadcast(said, 0)
        found: Told = msgspec.msgpack.decode(said.numpy().tobytes(), type=Told)
        return found

    def sum(self, value: float) -> float:
        """Over all processes. Raises Scattered."""
        import torch
        from torch import distributed

        total = torch.tensor([value], dtype=torch.float64)
        with scattering():
            distributed.all_reduce(total)
        return float(total)

    def close(self) -> None:
        from torch import distributed

        with suppress(RuntimeError):
            distributed.destroy_process_group()


@contextmanager
def scattering() -> Iterator[None]:
    """Raises Scattered for what torch says when another process is gone."""
    from torch import distributed

    try:
        yield
    except distributed.DistError as error:
        raise Scattered from error
    except RuntimeError as error:
        if not any(word in str(error) for word in ("gloo", "Gloo", "NCCL")):
            raise
        raise Scattered from error


def interface(address: str) -> str:
    """The name of this machine's network interface with that address: torch asks for the name."""
    import psutil

    for name, addresses in psutil.net_if_addrs().items():
        if any(one.address == address for one in addresses):
            return str(name)
    return "lo"


def _shared(places: list[list[str]], machine: str) -> Shared:
    """places: of each process, its machine and how many GPUs that has. Raises InvalidRequest."""
    numbers = [sum(where == other for other, _ in places[:rank]) for rank, (where, _) in enumerate(places)]
    having = sum(int(gpus) > number for number, (_, gpus) in zip(numbers, places, strict=True))
    if having and having < len(places):
        raise InvalidRequest(
            f"{len(places)} processes share {having} GPUs: as many as there are GPUs can be used, or one process",
            "train.processes",
        )
    return Shared(len(places), sum(where == machine for where, _ in places), having > 0)
