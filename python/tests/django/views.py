from hookward.django import WebhookView, webhook

from tests.django import effects


@webhook("shop")
def shop(request, event):
    return effects.happen(event, f"shop {request.method}")


@webhook("crm")
async def crm(request, event):
    return await effects.ahappen(event, f"crm {request.method}")


class BankView(WebhookView):
    source = "bank"

    def handle(self, request, event):
        return effects.happen(event, f"bank {self.request is request}")


class PostView(WebhookView):
    source = "post"

    async def handle(self, request, event):
        return await effects.ahappen(event, f"post {self.request is request}")
