"""Data-parallel gradients: the rows of a batch are shared out, each process goes through its share, the sum is exact.

The leader alone keeps the optimizer, its checkpoints and the order of rows. For each batch it tells the rows and the
weights, and takes the weighted sum of all gradients: the same numbers as in one process, but for the order in which
floats are added (and for dropout, which is drawn by each process anew for each batch). Helpers keep nothing, so one
that is lost costs a batch that is done again. Synchronous data parallelism: Chen et al., "Revisiting distributed
synchronous SGD", 2016 (arXiv 1604.00981). Left out: sending gradients of upper layers while lower ones are computed.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from craton.training.protocol import Helped, Meeting

if TYPE_CHECKING:
    from torch import Tensor, nn

    Loss = Callable[[Tensor], Tensor]

SILENT = timedelta(seconds=120)  # until a helper that says nothing counts as lost
LONG = timedelta(days=7)  # a helper waits: that the leader is gone it hears elsewhere
SEEDS = 2**63 - 1
HEAD = 2  # numbers before those of the rows: how many rows, the number of the batch


class Scattered(Exception):
    """A member was lost; nothing of this batch has been learned."""


class Together:
    def __init__(self, meeting: Meeting, module: nn.Module, batch: int, seed: int) -> None:
        """batch: most rows of one. Raises Scattered."""
        import torch
        from torch import distributed

        self.size, self._rank, self._seed = meeting.size, meeting.rank, seed
        self._module, self._weights = module, [*module.parameters()]
        self._told = torch.zeros(HEAD + batch, dtype=torch.int64)
        leading = meeting.rank == 0
        listener = None if meeting.listener is None else meeting.listener.detach()
        # The group is made by hand: torch.distributed's own is one for the whole process, and listens where the host's
        # name leads to, which on many machines is the loopback.
        gloo: Any = distributed.ProcessGroupGloo
        store: Any = distributed.TCPStore  # type: ignore[attr-defined]
        try:
            self._store = store(
                meeting.host,
                meeting.port,
                meeting.size,
                leading,
                SILENT,
                wait_for_workers=False,
                master_listen_fd=listener,
            )
            options = gloo._Options()
            options._devices = [gloo.create_device(hostname=meeting.here)]
            options._timeout = SILENT if leading else LONG
            self._group = gloo(self._store, meeting.rank, meeting.size, options)
        except RuntimeError as error:
            raise Scattered from error

    def gradients(self, rows: Tensor, number: int, loss: Loss) -> float:
        """The leader's: leaves the batch's gradients at the weights, returns its mean loss. number: of the batch,
        counted from the beginning. Raises Scattered."""
        self._told[0], self._told[1] = len(rows), number
        self._told[HEAD : HEAD + len(rows)] = rows
        self._broadcast(self._told)
        self._broadcast(self._flat())
        found = self._share(rows, number, loss)
        self._sum(found)
        at = 0
        for weight in self._weights:
            weight.grad = found[at : at + weight.numel()].view_as(weight).clone()
            at += weight.numel()
        return float(found[-1])

    def help(self, loss: Loss) -> None:
        """A helper's: raises Helped when the leader has no more."""
        from torch.nn.utils import vector_to_parameters

        self._module.train()
        try:
            while True:
                self._broadcast(self._told)
                count, number = int(self._told[0]), int(self._told[1])
                if not count:
                    raise Helped
                weights = self._flat()
                self._broadcast(weights)
                vector_to_parameters(weights, self._weights)
                self._sum(self._share(self._told[HEAD : HEAD + count], number, loss))
        except Scattered as error:
            raise Helped from error

    def close(self) -> None:
        """The leader's: helpers may go."""
        self._told.zero_()
        try:
            self._broadcast(self._told)
        except Scattered:
            return

    def _share(self, rows: Tensor, number: int, loss: Loss) -> Tensor:
        """Of the batch's gradients and, at the end, its loss."""
        import torch

        mine = rows.tensor_split(self.size)[self._rank]
        found = torch.zeros(sum(weight.numel() for weight in self._weights) + 1)
        if not len(mine):
            return found
        torch.manual_seed(hash((self._seed, number, self._rank)) % SEEDS)  # of whole numbers: the same everywhere
        self._module.zero_grad()
        part = loss(mine)
        part.backward()  # type: ignore[no-untyped-call]
        grads = [torch.zeros_like(one) if one.grad is None else one.grad for one in self._weights]
        found[:-1] = torch.cat([grad.reshape(-1) for grad in grads])
        found[-1] = part.detach()
        return found.mul_(len(mine) / len(rows))

    def _flat(self) -> Tensor:
        from torch.nn.utils import parameters_to_vector

        found: Tensor = parameters_to_vector(self._weights).detach()
        return found

    def _broadcast(self, values: Tensor) -> None:
        self._wait(lambda: self._group.broadcast(values, root=0))

    def _sum(self, values: Tensor) -> None:
        self._wait(lambda: self._group.reduce(values, root=0))

    def _wait(self, begin: Callable[[], Any]) -> None:
        try:
            begin().wait()
        except RuntimeError as error:
            raise Scattered from error
