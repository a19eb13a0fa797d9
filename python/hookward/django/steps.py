"""One path, written once, for sync and async callers.

The path is a generator. It decides; where something takes time (the store, a handler), it yields a `Step` and gets what
came of it. A driver takes the steps: `run` in the thread it is called in, `arun` in threads and on the event loop.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Coroutine, Generator
from dataclasses import dataclass
from typing import Any, TypeVar

from asgiref.sync import async_to_sync, sync_to_async

T = TypeVar("T")
Steps = Generator["Step", Any, T]


@dataclass(frozen=True, slots=True)
class Step:
    """A call to make: of a function, or of a coroutine function."""

    function: Callable[..., Any]
    args: tuple[Any, ...] = ()
    uses_database: bool = True
    """Whether it must be in the thread that has the request's database connections."""


def run(steps: Steps[T]) -> T:
    """Takes all steps in this thread; coroutines on an event loop of their own."""
    proceed, given = steps.send, None
    while True:
        try:
            step = proceed(given)
        except StopIteration as end:
            return end.value  # type: ignore[no-any-return]
        try:
            proceed, given = steps.send, _call(step)
        except BaseException as error:  # noqa: BLE001, the path decides what to do about it
            proceed, given = steps.throw, error


async def arun(steps: Steps[T]) -> T:
    """Takes all steps without blocking the event loop. A cancellation reaches the path, which gives back its lease."""
    proceed, given = steps.send, None
    while True:
        try:
            step = proceed(given)
        except StopIteration as end:
            return end.value  # type: ignore[no-any-return]
        try:
            proceed, given = steps.send, await _await(step)
        except BaseException as error:  # noqa: BLE001, the path decides what to do about it
            proceed, given = steps.throw, error


def _call(step: Step) -> Any:
    if inspect.iscoroutinefunction(step.function):
        return async_to_sync(step.function)(*step.args)
    return step.function(*step.args)


def _await(step: Step) -> Coroutine[Any, Any, Any]:
    if inspect.iscoroutinefunction(step.function):
        return step.function(*step.args)  # type: ignore[no-any-return]
    return sync_to_async(step.function, thread_sensitive=step.uses_database)(*step.args)
