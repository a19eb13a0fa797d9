"""Running kept events elsewhere than in the request: in `manage.py webhooks_worker`, or in a task queue that the
project has.

Events are durable before anything is enqueued, and a task does not carry one: it says that something is due. It then
runs whatever is. So an event whose task was lost is run by the next task or by a worker, and a task that comes twice
does nothing.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.utils.module_loading import import_string

from hookward.django.runtime import Runtime, current

if TYPE_CHECKING:
    from collections.abc import Callable

logger = logging.getLogger("hookward")


def run_due(limit: int = 1) -> int:
    """Runs up to so many events that are due; how many there were. What a task calls, and what a project's own queue
    may call.
    """
    from hookward.django.worker import run_some

    return run_some(current(), limit)


def register() -> None:
    """Makes the task known to Celery's workers, which look tasks up by name. Called when the app is ready."""
    written = getattr(settings, "WEBHOOKS", None)
    if isinstance(written, Mapping) and written.get("QUEUE") == "celery":
        with contextlib.suppress(ImproperlyConfigured):
            _sender("celery")


def enqueue(runtime: Runtime, key: str) -> None:
    """Says that an event is due. That it could not be said is logged, and no fault: the event is durable, and found by
    a worker.
    """
    queue = runtime.settings.queue
    if queue == "worker":
        return
    try:
        _sender(queue)()
    except ImproperlyConfigured:
        logger.exception("webhook not enqueued: %s waits for `manage.py webhooks_worker`", key)
    except Exception:
        logger.exception("webhook not enqueued: %s waits for the next task, or for `manage.py webhooks_worker`", key)


@cache
def _sender(queue: str) -> Callable[[], Any]:
    """What enqueues a call of `run_due`."""
    match queue:
        case "django.tasks":
            return _of_django()
        case "celery":
            return _of_celery()
        case "rq":
            return _of_rq()
        case path:
            try:
                return import_string(path)  # type: ignore[no-any-return]
            except ImportError as error:
                raise ImproperlyConfigured(
                    f'WEBHOOKS["QUEUE"] is {path!r}: neither "worker", "django.tasks", "celery", "rq", nor a function:'
                    f" {error}"
                ) from error


def _of_django() -> Callable[[], Any]:
    try:
        from hookward.django.background import run_due as task
    except ImportError:
        raise ImproperlyConfigured(
            'WEBHOOKS["QUEUE"] = "django.tasks" needs Django 6.0, or its back-port: pip install django-tasks'
        ) from None
    return task.enqueue  # type: ignore[no-any-return]


def _of_celery() -> Callable[[], Any]:
    try:
        from celery import shared_task
    except ImportError:
        raise ImproperlyConfigured('WEBHOOKS["QUEUE"] = "celery" needs Celery: pip install celery') from None
    return shared_task(run_due, name="hookward.run_due", ignore_result=True).delay  # type: ignore[no-any-return]


def _of_rq() -> Callable[[], Any]:
    try:
        from django_rq import enqueue as send
    except ImportError:
        raise ImproperlyConfigured('WEBHOOKS["QUEUE"] = "rq" needs django-rq: pip install django-rq') from None
    return lambda: send(run_due)
