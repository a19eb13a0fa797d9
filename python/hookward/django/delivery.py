"""The model of the admin pages: no table, only a name to link to and permissions to give. Rows come from the store."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _


class Delivery(models.Model):
    """An event as a person sees it. Never queried: `hookward.django.admin` asks the store."""

    key = models.CharField(_("key"), max_length=32, primary_key=True)

    class Meta:
        app_label = "hookward"
        managed = False
        verbose_name = _("webhook")
        verbose_name_plural = _("webhooks")
        default_permissions = ()
        permissions = [
            ("view_delivery", "Can list webhooks and see what became of them"),
            ("view_payload", "Can see the bodies and headers of webhooks"),
            ("replay_delivery", "Can run webhooks again"),
            ("drop_delivery", "Can drop dead letters"),
        ]

    def __str__(self) -> str:
        return self.key
