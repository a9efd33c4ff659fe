"""Workers: one model in one child process, spoken to in frames over a socket pair.

from craton.engines.worker import Worker, WorkerSettings
"""

from craton.engines.worker.life import LifeSettings
from craton.engines.worker.supervisor import Worker, WorkerSettings

__all__ = ["LifeSettings", "Worker", "WorkerSettings"]
