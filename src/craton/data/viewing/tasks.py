"""What a child does for each task."""

from __future__ import annotations

import os
from typing import Any

from craton.core.errors import Damaged, Unsupported
from craton.data.viewing.converting import convert, head
from craton.data.viewing.frames import Convert, Describe, Filter, Head, Measure, Search, Task, Window
from craton.data.viewing.limits import ViewLimits
from craton.data.viewing.parquet import describe
from craton.data.viewing.statistics import measure
from craton.data.viewing.windows import window


def perform(task: Task, limits: ViewLimits) -> Any:
    """The value that the task's docstring names. Raises Damaged, TooLarge, Unsupported, InvalidRequest."""
    try:
        return _perform(task, limits)
    except RecursionError:
        raise Damaged("The file", "it is nested too deep") from None


def _perform(task: Task, limits: ViewLimits) -> Any:
    if isinstance(task, Head):
        return head(task.source, task.rows, task.features, limits)
    if isinstance(task, Convert):
        try:
            return convert(task.source, task.target, limits)
        except BaseException:
            if os.path.exists(task.target):
                os.unlink(task.target)
            raise
    if isinstance(task, Describe):
        return describe(task.path, task.name, limits)
    if isinstance(task, Window):
        return window(task.table, task.offset, task.length, limits)
    if isinstance(task, Measure):
        return measure(task.table, limits)
    return _query(task, limits)


def _query(task: Filter | Search, limits: ViewLimits) -> Any:
    try:
        from craton.data.viewing.querying import filter_rows, search_rows
    except ImportError:
        raise Unsupported("Searching and filtering datasets", "Install craton[data].") from None
    return filter_rows(task, limits) if isinstance(task, Filter) else search_rows(task, limits)
