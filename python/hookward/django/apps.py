"""The app."""

from __future__ import annotations

from django.apps import AppConfig
from django.utils.module_loading import autodiscover_modules


class HookwardConfig(AppConfig):
    name = "hookward.django"
    label = "hookward"
    verbose_name = "Webhooks"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Finds handlers and registers checks. Reads no secret and starts no thread: the process may fork yet."""
        from hookward.django import checks, tasks

        checks.register_checks()
        tasks.register()
        autodiscover_modules("webhooks")
