"""The task that `QUEUE = "django.tasks"` enqueues: its workers find it by this module's name. Needs Django 6.0, or
`django-tasks`.
"""

from __future__ import annotations

from hookward.django import tasks

try:
    from django.tasks import task
except ImportError:
    from django_tasks import task


@task
def run_due() -> int:
    """Runs an event that is due, if there is one."""
    return tasks.run_due()
