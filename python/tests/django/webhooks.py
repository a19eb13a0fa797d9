"""Found by the app when it gets ready."""

from hookward.django import on

from tests.django import effects


@on("stripe", "invoice.paid")
def paid(event):
    return effects.happen(event, "paid")


@on("stripe", "invoice.*")
def invoice(event):
    return effects.happen(event, "invoice")


@on("github")
async def github(event):
    return await effects.ahappen(event, "github")


@on("erp")
def erp(event):
    return effects.happen(event, "erp")
