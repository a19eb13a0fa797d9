"""Views of the project, and what has become of them in the hands of others."""

from django.http import HttpResponse
from hookward.django import webhook

calls = []
"""The events that handlers were called with."""
act = None
"""What they do, if anything."""


@webhook("stripe")
def hook(request, event):
    calls.append(event)
    if act is not None:
        act(event)


@webhook("github")
async def async_hook(request, event):
    calls.append(event)


def without(**marks):
    """The view with some of its marks lost."""

    def view(request):
        return HttpResponse()

    view.__dict__.update(vars(hook))
    for name, value in marks.items():
        setattr(view, name, value)
    return view
