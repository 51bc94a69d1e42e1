"""How many files the process may have open: raised to what the limits need, or the limits lowered to what it may."""

from __future__ import annotations

import importlib
from dataclasses import replace
from typing import Any

from mien.errors import InputError
from mien.server.limits import ServiceLimits

ACCEPTED_AT_ONCE = 64
"""Connections that are accepted before the first of them can be refused."""
_PER_CONNECTION = 2
"""A connection, and the file that it may be sent."""
_PER_RUNNING_VIDEO = 10
_OF_PROCESS = 64
"""The log, the event loop, models, libraries."""
_FEWEST_CONNECTIONS = 8


def fit_open_files(limits: ServiceLimits) -> tuple[ServiceLimits, str | None]:
    """Raise the soft limit of open files to what ``limits`` need, as far as the hard one allows.

    Returns:
        The limits, with fewer connections where the hard limit is too low, and what to report then.

    Raises:
        InputError: the hard limit is too low for any use.
    """
    try:
        resource: Any = importlib.import_module("resource")  # Windows has none, and no such limit
    except ImportError:
        return limits, None
    others = ACCEPTED_AT_ONCE + _OF_PROCESS + limits.jobs + _PER_RUNNING_VIDEO * limits.jobs_running
    needed = others + _PER_CONNECTION * limits.connections
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    unlimited = resource.RLIM_INFINITY
    if soft == unlimited or soft >= needed:
        return limits, None
    allowed = needed if hard == unlimited else min(needed, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, allowed), hard))
    if allowed >= needed:
        return limits, None
    connections = (allowed - others) // _PER_CONNECTION
    if connections < _FEWEST_CONNECTIONS:
        fewest = others + _PER_CONNECTION * _FEWEST_CONNECTIONS
        with_one_job = fewest - (limits.jobs - 1) - _PER_RUNNING_VIDEO * (limits.jobs_running - 1)
        advice = f"raise the limit (ulimit -n {fewest})"
        if allowed >= with_one_job:
            advice += ", or lower --max-jobs and --max-jobs-running"
        raise InputError(f"the process may have {allowed} files open and needs {fewest}", advice=advice)
    text = f"at most {connections} connections instead of {limits.connections}: the process may have {allowed} files "
    text += f"open (ulimit -n); {needed} are needed"
    return replace(
        limits, connections=connections, client_connections=min(limits.client_connections, connections)
    ), text
