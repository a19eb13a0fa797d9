"""The admin pages: events as the store has them, whichever store it is. Registered with the default admin site.

Pages are plain HTML without scripts, so that a strict Content-Security-Policy lets them through. A list is one page of
`Store.list`, never a scan. Whatever changes something is a POST that was confirmed, and leaves a LogEntry.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from django.contrib import admin, messages
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.contenttypes.models import ContentType
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect, QueryDict
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from hookward import _core
from hookward.django import operate
from hookward.django.delivery import Delivery
from hookward.django.event import moment

if TYPE_CHECKING:
    from collections.abc import Callable

    from hookward.django.stores.base import Kept

log = logging.getLogger("hookward.django.admin")

# Small enough to read, and one query of a table.
PAGE = 50
# What is shown of a body: a page, not an archive.
BODY_SHOWN_MAX = 64 * 1024


@admin.register(Delivery)
class DeliveryAdmin(admin.ModelAdmin):
    """List, detail, replay and drop. Add, change and delete do not exist."""

    def get_urls(self) -> list[URLPattern]:
        def page(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
            return self.admin_site.admin_view(view)

        name = f"{self.opts.app_label}_{self.opts.model_name}"
        return [
            path("", page(self.changelist_view), name=f"{name}_changelist"),
            path("replay/", page(self.replay_view), name=f"{name}_replay"),
            path("drop/", page(self.drop_view), name=f"{name}_drop"),
            path("<str:object_id>/change/", page(self.detail_view), name=f"{name}_change"),
        ]

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Delivery | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Delivery | None = None) -> bool:
        return False

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """One page of events: `source`, `state` and `cursor` choose it; `key` leads to a single one."""
        self._demand(request, "view_delivery")
        if key := request.GET.get("key", "").strip():
            return HttpResponseRedirect(self._url("change", key))
        source, state = request.GET.get("source") or None, request.GET.get("state") or None
        if state is not None and state not in operate.STATES:
            raise Http404(_("There is no such state."))
        states = operate.listable()
        if states is not None and state not in states:
            state = states[0]
        try:
            events, cursor = operate.store().list(
                source=source, state=state, cursor=request.GET.get("cursor") or None, limit=PAGE
            )
        except _core.StoreError as error:
            return self._unavailable(request, error)
        except (ValueError, _core.HookwardError):
            return HttpResponseRedirect(self._url("changelist"))  # a cursor that somebody made up, or of another store
        return self._page(
            request,
            "list",
            {
                "title": _("Webhooks"),
                "events": [self._row(event) for event in events],
                "filters": [
                    (
                        _("State"),
                        self._choices(request, "state", states or operate.STATES, state, everything=not states),
                    ),
                    (_("Source"), self._choices(request, "source", operate.source_names(), source)),
                ],
                "older": self._query(request, cursor=cursor) if cursor else None,
                "newest": self._query(request, cursor=None) if "cursor" in request.GET else None,
                **(extra_context or {}),
            },
        )

    def detail_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """One event with its attempts; with `?payload` its headers and body too, for those who may."""
        self._demand(request, "view_delivery")
        payload = "payload" in request.GET
        if payload:
            self._demand(request, "view_payload")
        try:
            event = operate.store().get(object_id) if operate.is_key(object_id) else None
        except _core.StoreError as error:
            return self._unavailable(request, error)
        if event is None:
            raise Http404(_("There is no such webhook, or it was forgotten."))
        content_type = ContentType.objects.get_for_model(Delivery, for_concrete_model=False)
        return self._page(
            request,
            "detail",
            {
                "title": _("Webhook"),
                "subtitle": event.key,
                "event": self._row(event),
                "history": [(moment(at), status, note) for at, status, note in reversed(event.history)],
                "payload": payload and not event.body_expired,
                "headers": [(name, value.decode("latin-1")) for name, value in event.headers] if payload else [],
                "body": operate.readable(event.body, BODY_SHOWN_MAX) if payload else "",
                "cut": len(event.body) > BODY_SHOWN_MAX,
                "may_see_payload": self._may(request, "view_payload"),
                "audit": LogEntry.objects.filter(content_type=content_type, object_id=event.key).select_related("user")[
                    :20
                ],
            },
        )

    def replay_view(self, request: HttpRequest) -> HttpResponse:
        """Runs events again, after a confirmation."""
        return self._act(request, "replay", lambda key: operate.store().requeue(key, operate.now()))

    def drop_view(self, request: HttpRequest) -> HttpResponse:
        """Takes dead letters off the list, after a confirmation."""
        return self._act(request, "drop", lambda key: operate.store().discard(key, operate.now()))

    def _act(self, request: HttpRequest, action: str, do: Callable[[str], None]) -> HttpResponse:
        self._demand(request, f"{action}_delivery")
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        keys = list(dict.fromkeys(key for key in request.POST.getlist("key") if operate.is_key(key)))[:PAGE]
        if not keys:
            self.message_user(request, _("Select at least one webhook first."), messages.WARNING)
            return HttpResponseRedirect(self._url("changelist"))
        if "confirmed" not in request.POST:
            title = _("Run again?") if action == "replay" else _("Drop?")
            return self._page(request, "confirm", {"title": title, "keys": keys, "action": action})
        done = []
        for key in keys:
            try:
                do(key)
            except _core.StoreError as error:
                self.message_user(request, f"{key}: {error}", messages.ERROR)
            else:
                done.append(Delivery(key=key))
        if done:
            # The log of the process too: whoever can change this database can change the entries in it.
            told = "Asked for another run." if action == "replay" else "Dropped."
            LogEntry.objects.log_actions(request.user.pk, done, CHANGE, told)
            for delivery in done:
                log.info("%s of %s by %s", action, delivery.key, request.user.get_username())
            if action == "replay":
                text = ngettext("%d webhook will run again.", "%d webhooks will run again.", len(done))
            else:
                text = ngettext("%d dead letter was dropped.", "%d dead letters were dropped.", len(done))
            self.message_user(request, text % len(done), messages.SUCCESS)
        return HttpResponseRedirect(self._url("change", keys[0]) if len(keys) == 1 else self._url("changelist"))

    def _page(self, request: HttpRequest, name: str, context: dict[str, Any], status: int = 200) -> HttpResponse:
        request.current_app = self.admin_site.name
        shared = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "may_replay": self._may(request, "replay_delivery"),
            "may_drop": self._may(request, "drop_delivery"),
        }
        return TemplateResponse(request, f"admin/hookward/delivery/{name}.html", {**shared, **context}, status=status)

    def _unavailable(self, request: HttpRequest, error: _core.StoreError) -> HttpResponse:
        log.warning("the store did not answer the admin page: %s", error)
        context = {"title": _("Webhooks"), "unavailable": str(error)}
        return self._page(request, "list", context, status=503)

    def _row(self, event: Kept) -> dict[str, Any]:
        return {
            **operate.summary(event),
            "received_at": moment(event.received_at),
            "due_at": None if event.due_at is None else moment(event.due_at),
            "url": self._url("change", event.key),
            "droppable": event.state == "dead" and not event.body_expired,
        }

    def _choices(
        self,
        request: HttpRequest,
        name: str,
        values: tuple[str, ...] | list[str],
        chosen: str | None,
        *,
        everything: bool = True,
    ) -> list[tuple[str, str, bool]]:
        choices = [(value, self._query(request, **{name: value, "cursor": None}), value == chosen) for value in values]
        if everything:
            choices.insert(0, (_("All"), self._query(request, **{name: None, "cursor": None}), chosen is None))
        return choices

    @staticmethod
    def _query(request: HttpRequest, **changes: str | None) -> str:
        """The page's own address with some parameters changed."""
        query = QueryDict(mutable=True)
        for name in ("state", "source", "cursor"):
            if value := changes.get(name, request.GET.get(name)):
                query[name] = value
        return f"?{query.urlencode()}"

    def _url(self, page: str, *args: str) -> str:
        name = f"{self.admin_site.name}:{self.opts.app_label}_{self.opts.model_name}_{page}"
        return reverse(name, args=args, current_app=self.admin_site.name)

    def _may(self, request: HttpRequest, permission: str) -> bool:
        return request.user.has_perm(f"{self.opts.app_label}.{permission}")

    def _demand(self, request: HttpRequest, permission: str) -> None:
        if not self._may(request, permission):
            raise PermissionDenied
