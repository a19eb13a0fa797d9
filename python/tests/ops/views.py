"""Views of the project, and what has become of them in the hands of others."""

from django.http import HttpResponse
from hookward.django import webhook


@webhook("stripe")
def hook(request, event):
    return None


@webhook("github")
async def async_hook(request, event):
    return None


def without(**marks):
    """The view with some of its marks lost."""

    def view(request):
        return HttpResponse()

    view.__dict__.update(vars(hook))
    for name, value in marks.items():
        setattr(view, name, value)
    return view
