from hookward.django import Event, Ignore, on

from .events import Push
from .models import Deploy


@on("github", "push", model=Push)
def pushed(event: Event) -> None:
    """Notes that what was pushed to the main branch has to go live."""
    push: Push = event.data
    if push.ref != "refs/heads/main" or push.deleted:
        raise Ignore("not a commit on the main branch")
    # The same commit twice is the same deploy, so that nothing else is needed for a handler that runs twice.
    Deploy.objects.get_or_create(
        repository=push.repository.full_name,
        commit=push.after,
        defaults={"pushed_by": push.pusher.name, "pushed_at": event.received_at},
    )
