from django.http import HttpResponse


def hook(request):
    return HttpResponse()


async def async_hook(request):
    return HttpResponse()


for v, s in ((hook, "stripe"), (async_hook, "github")):
    v.webhook_source = s
    v.csrf_exempt = True
    v.login_required = False
    v._non_atomic_requests = {"default"}
