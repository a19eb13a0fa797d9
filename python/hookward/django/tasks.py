"""Running kept events elsewhere than in the request: in `manage.py webhooks_worker`, or in a task queue that the
project has.

Events are durable before anything is enqueued, and a task does not carry one: it says that something is due. It then
runs whatever is. So an event whose task was lost is run by the next task or by a worker, and a task that comes twice
does nothing.
"""

from __future__ import annotations

import logging
from functools import cache
from typing import TYPE_CHECKING, Any

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
        from django.tasks import task  # Django 6.0
    except ImportError:
        try:
            from django_tasks import task
        except ImportError:
            raise ImproperlyConfigured(
                'WEBHOOKS["QUEUE"] = "django.tasks" needs Django 6.0, or its back-port: pip install django-tasks'
            ) from None
    return task(run_due).enqueue  # type: ignore[no-any-return]


def _of_celery() -> Callable[[], Any]:
    try:
        from celery import current_app
    except ImportError:
        raise ImproperlyConfigured('WEBHOOKS["QUEUE"] = "celery" needs Celery: pip install celery') from None
    return current_app.task(run_due, name="hookward.run_due", ignore_result=True).delay  # type: ignore[no-any-return]


def _of_rq() -> Callable[[], Any]:
    try:
        from django_rq import enqueue as send
    except ImportError:
        raise ImproperlyConfigured('WEBHOOKS["QUEUE"] = "rq" needs django-rq: pip install django-rq') from None
    return lambda: send(run_due)
