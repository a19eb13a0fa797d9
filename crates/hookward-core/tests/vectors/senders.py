"""How each sender signs, written down a second time: from the providers' documentation and not from Hookward's table, so
that a slip in either shows. `generate.py` makes the vectors of these descriptions.

What is signed is a text with names in braces, as the documentation has it: `{body}`, `{time}`, `{id}`, `{url}`,
`{method}`, `{secret}`, and `{form:x}` for a field of a form.
"""

from dataclasses import dataclass, field

JSON = "application/json"
FORM = "application/x-www-form-urlencoded"
URL = "https://hooks.acme.dev/in/{}"


@dataclass(frozen=True)
class Sender:
    name: str
    # Where the signature is: the name of a header, `query:<name>` or `field:<key>`.
    place: str
    # A request of it, the identity in it (None: its content), its type, and the header of the type.
    body: str
    id: str | int | None = None
    type: str | None = None
    type_header: str = ""
    # Further headers that it sends; none of them is signed.
    unsigned: dict[str, str] = field(default_factory=dict)
    media: str = JSON
    forms: bool = False
    arrays: bool = False
    # The signature.
    algorithm: str = "hmac-sha256"
    written: str = "hex"
    prefix: str = ""
    prefix_optional: bool = False
    signs: str = "{body}"
    # A list, as in `t=1,v1=2`: the label of a signature, and of the time where that is in the list. `plain`: no labels.
    label: str = ""
    time_label: str = ""
    separator: str = ","
    assign: str = "="
    plain: bool = False
    # What precedes the time in such a list.
    first_prefix: str = ""
    # The time, where it is signed: its header, what it counts, and for how many seconds it is good.
    time: str = ""
    time_in_body: bool = False
    unit: str = "s"
    past: int = 300
    future: int = 300
    # The header of the signed id.
    id_header: str = ""
    # Other names of headers, headers with a signature more, and headers that must have a value.
    aliases: dict[str, str] = field(default_factory=dict)
    more: tuple[str, ...] = ()
    require: dict[str, str] = field(default_factory=dict)
    # What a secret looks like, what the key is of it, and what is put behind it.
    secret: str = "{hex}"
    key: str = "text"
    suffix: str = ""

    @property
    def is_token(self) -> bool:
        return self.algorithm == "token"

    @property
    def is_public(self) -> bool:
        return self.algorithm in ("ed25519", "ecdsa-p256", "rsa-sha256", "rsa-sha1")

    @property
    def signs_time(self) -> bool:
        return "{time}" in self.signs

    @property
    def url(self) -> str | None:
        return URL.format(self.name) if "{url}" in self.signs else None


def stripe_like(name, place, **others):
    defaults = {"label": "v1", "time_label": "t", "signs": "{time}.{body}"}
    return Sender(name, place, **(defaults | others))


def standard(name, prefix="webhook", **others):
    """Standard Webhooks; by way of Svix its headers may have either name."""
    names = ["id", "timestamp", "signature"]
    defaults = {
        "id_header": f"{prefix}-id",
        "time": f"{prefix}-timestamp",
        "signs": "{id}.{time}.{body}",
        "label": "v1",
        "separator": " ",
        "assign": ",",
        "written": "base64",
        "secret": "whsec_{base64}",
        "key": "whsec",
        "aliases": {f"svix-{it}": f"webhook-{it}" for it in names} if prefix == "svix" else {},
    }
    return Sender(name, f"{prefix}-signature", **(defaults | others))


def meta(name, object, entry):
    body = f'{{"object":"{object}","entry":[{{"id":"1784","time":1795478399,"changes":[{entry}]}}]}}'
    return Sender(name, "x-hub-signature-256", prefix="sha256=", body=body, type=object)


def hubspot(name, place, **others):
    body = (
        '[{"eventId":3816279340,"subscriptionId":25,"portalId":33,"subscriptionType":"deal.creation","objectId":938}]'
    )
    return Sender(name, place, **({"body": body, "arrays": True} | others))


def cloudinary(name, algorithm):
    return Sender(
        name,
        "x-cld-signature",
        algorithm=algorithm,
        signs="{body}{time}{secret}",
        time="x-cld-timestamp",
        past=7200,
        secret="{short}",
        body='{"notification_type":"upload","request_id":"b1b2","public_id":"cat","version":1795478399,"bytes":120253}',
        type="upload",
    )


def token(name, place, body, **others):
    return Sender(name, place, body, algorithm="token", written="plain", **others)


def basic(name, body, **others):
    return Sender(
        name, "authorization", body, algorithm="token", written="base64", prefix="Basic ", secret="hook:{hex}", **others
    )


GITEA = '{"ref":"refs/heads/main","before":"28e1","after":"bffe","commits":[],"pusher":{"login":"zoe"}}'
GITLAB = '{"object_kind":"push","event_name":"push","ref":"refs/heads/main","project_id":15,"total_commits_count":4}'
DISCORD_KEY = {"algorithm": "ed25519", "signs": "{time}{body}", "time": "x-signature-timestamp"}

# One HMAC over the body and nothing else.
BODY_ONLY = [
    Sender(
        "acuity",
        "x-acuity-signature",
        written="base64",
        body="action=rescheduled&id=11&calendarID=2&appointmentTypeID=3",
        type="rescheduled",
        media=FORM,
        forms=True,
    ),
    Sender(
        "adyen-platform",
        "hmacsignature",
        written="base64",
        key="hex",
        secret="{HEX}",
        body='{"data":{"id":"BA1","status":"active"},"environment":"live","type":"balancePlatform.balanceAccount.updated"}',
        type="balancePlatform.balanceAccount.updated",
        unsigned={"protocol": "HmacSHA256"},
    ),
    Sender(
        "asana",
        "x-hook-signature",
        body='{"events":[{"action":"added","resource":{"gid":"1337","resource_type":"task"},"parent":{"gid":"7"}}]}',
    ),
    Sender(
        "attio",
        "attio-signature",
        body='{"webhook_id":"w1","events":[{"event_type":"note.created","id":{"note_id":"n1"}}]}',
        unsigned={"idempotency-key": "3e6f", "x-attio-signature": "a copy for old software"},
    ),
    Sender(
        "bitbucket",
        "x-hub-signature",
        prefix="sha256=",
        body='{"actor":{"nickname":"zoe"},"repository":{"full_name":"team/repo"},"push":{"changes":[]}}',
        type="repo:push",
        type_header="x-event-key",
        unsigned={"x-request-uuid": "b7e2", "x-attempt-number": "1"},
    ),
    Sender(
        "bitbucket-data-center",
        "x-hub-signature",
        prefix="sha256=",
        body='{"eventKey":"pr:merged","date":"2026-11-24T00:00:00+0000","pullRequest":{"id":11,"state":"MERGED"}}',
        type="pr:merged",
        type_header="x-event-key",
        unsigned={"x-request-id": "c1d2"},
    ),
    Sender(
        "cal-com",
        "x-cal-signature-256",
        body='{"triggerEvent":"BOOKING_CANCELLED","createdAt":"2026-11-24T00:00:00.000Z","payload":{"uid":"u1"}}',
        type="BOOKING_CANCELLED",
    ),
    Sender(
        "checkout-com",
        "cko-signature",
        body='{"id":"evt_az5sblvku4ge3dwpztvyizgcau","type":"payment_captured","version":"1.0.0","data":{"amount":1000}}',
        id="evt_az5sblvku4ge3dwpztvyizgcau",
        type="payment_captured",
    ),
    Sender(
        "circleci",
        "circleci-signature",
        label="v1",
        body='{"id":"3888f21b","type":"job-completed","happened_at":"2026-11-24T00:00:00.000Z","job":{"status":"success"}}',
        id="3888f21b",
        type="job-completed",
    ),
    Sender(
        "clickup",
        "x-signature",
        secret="{SHORT}",
        body='{"event":"taskCreated","task_id":"c0j","webhook_id":"7689a169","history_items":[]}',
        type="taskCreated",
    ),
    Sender(
        "coinbase-commerce",
        "x-cc-webhook-signature",
        body='{"id":"delivery","attempt_number":2,"event":{"id":"24934862","type":"charge:created","data":{"code":"66BE"}}}',
        id="24934862",
        type="charge:created",
    ),
    Sender(
        "docusign",
        "x-docusign-signature-1",
        more=tuple(f"x-docusign-signature-{number}" for number in range(2, 11)),
        written="base64",
        secret="{base64}",
        body='{"event":"envelope-sent","retryCount":0,"generatedDateTime":"2026-11-24T00:00:00Z","data":{"envelopeId":"e1"}}',
        type="envelope-sent",
        unsigned={"x-authorization-digest": "HMACSHA256"},
    ),
    Sender(
        "dropbox",
        "x-dropbox-signature",
        body='{"list_folder":{"accounts":["dbid:AAH4f99T"]},"delta":{"users":[12345678]}}',
    ),
    Sender(
        "firecrawl",
        "x-firecrawl-signature",
        prefix="sha256=",
        body='{"success":true,"type":"crawl.started","id":"550e8400","data":[],"metadata":{}}',
        type="crawl.started",
    ),
    Sender(
        "fitbit",
        "x-fitbit-signature",
        algorithm="hmac-sha1",
        written="base64",
        suffix="&",
        body='[{"collectionType":"foods","date":"2026-11-24","ownerId":"USER1","ownerType":"user","subscriptionId":"7"}]',
        arrays=True,
    ),
    Sender(
        "forgejo",
        "x-forgejo-signature",
        body=GITEA,
        type="push",
        type_header="x-forgejo-event",
        unsigned={
            "x-forgejo-delivery": "f6266f16",
            "x-gitea-event": "push",
            "x-gitea-signature": "the same, as Gitea has it",
        },
    ),
    Sender(
        "formstack",
        "x-fs-signature",
        prefix="sha256=",
        body='{"FormID":"1","UniqueID":"99","Email":"zoe@acme.dev"}',
        forms=True,
    ),
    Sender(
        "gitea",
        "x-gitea-signature",
        body=GITEA,
        type="push",
        type_header="x-gitea-event",
        unsigned={"x-gitea-delivery": "f6266f16", "x-gogs-event": "push"},
    ),
    Sender(
        "gocardless",
        "webhook-signature",
        body='{"events":[{"id":"EV123","resource_type":"mandates","action":"cancelled"}],"meta":{"webhook_id":"WB123"}}',
    ),
    Sender(
        "help-scout",
        "x-helpscout-signature",
        algorithm="hmac-sha1",
        written="base64",
        body='{"id":11,"number":349,"type":"email","status":"closed","subject":"Hi"}',
        type="convo.status",
        type_header="x-helpscout-event",
    ),
    Sender(
        "heroku",
        "heroku-webhook-hmac-sha256",
        written="base64",
        body='{"id":"b87a","action":"create","resource":"build","sequence":null,"webhook_metadata":{"delivery":{"id":"d"}}}',
        id="b87a",
        type="build",
    ),
    Sender(
        "hookdeck",
        "x-hookdeck-signature",
        more=("x-hookdeck-signature-2",),
        written="base64",
        body='{"id":"1","type":"whatever the source says"}',
        unsigned={"x-hookdeck-eventid": "evt_9"},
    ),
    meta("instagram", "instagram", '{"field":"mentions","value":{"media_id":"999","text":"Zo\\u00eb"}}'),
    Sender(
        "intercom",
        "x-hub-signature",
        algorithm="hmac-sha1",
        prefix="sha1=",
        body='{"type":"notification_event","id":"notif_ccd8a4d0","topic":"contact.created","delivery_attempts":1}',
        id="notif_ccd8a4d0",
        type="contact.created",
    ),
    Sender(
        "jira",
        "x-hub-signature",
        prefix="sha256=",
        body='{"timestamp":1795478400000,"webhookEvent":"jira:issue_created","issue":{"id":"99291","key":"JRA-20002"}}',
        type="jira:issue_created",
        unsigned={"x-atlassian-webhook-identifier": "40a4", "x-atlassian-webhook-retry": "1"},
    ),
    Sender(
        "lemon-squeezy",
        "x-signature",
        secret="{short}",
        body='{"meta":{"event_name":"subscription_created","test_mode":false},"data":{"type":"subscriptions","id":"1"}}',
        type="subscription_created",
        unsigned={"x-event-name": "subscription_created"},
    ),
    Sender(
        "line",
        "x-line-signature",
        written="base64",
        body='{"destination":"U0","events":[{"type":"follow","webhookEventId":"01FZ74A0","deliveryContext":{"isRedelivery":false}}]}',
    ),
    Sender(
        "mailerlite",
        "signature",
        body='{"events":[{"type":"subscriber.updated","id":"31987","email":"zoe@acme.dev"}],"total":1}',
    ),
    Sender(
        "mailersend",
        "signature",
        body='{"type":"activity.opened","domain_id":"d1","webhook_id":"w1","data":{"object":"activity","id":"62fb"}}',
        type="activity.opened",
    ),
    Sender(
        "mautic",
        "webhook-signature",
        written="base64",
        body='{"mautic.email_on_open":[{"stat":{"id":12},"timestamp":"2026-11-24T00:00:00+00:00"}]}',
    ),
    meta("meta", "page", '{"field":"feed","value":{"item":"comment","message":"Zo\\u00eb \\ud83e\\udd80"}}'),
    Sender(
        "microsoft-teams",
        "authorization",
        prefix="HMAC ",
        written="base64",
        key="base64",
        secret="{base64}",
        body='{"type":"message","id":"1485983408511","text":"<at>Bot</at> hi","channelId":"msteams"}',
        type="message",
    ),
    Sender(
        "mollie",
        "x-mollie-signature",
        prefix="sha256=",
        prefix_optional=True,
        body='{"resource":"event","id":"event_GvJ8WHrp5isUdRub9CJyH","type":"payment-link.paid","entityId":"pl_q"}',
        id="event_GvJ8WHrp5isUdRub9CJyH",
        type="payment-link.paid",
    ),
    Sender(
        "notion",
        "x-notion-signature",
        prefix="sha256=",
        secret="secret_{hex}",
        body='{"id":"367cba44","timestamp":"2026-11-24T00:00:00.000Z","type":"page.content_updated","attempt_number":1}',
        id="367cba44",
        type="page.content_updated",
    ),
    Sender(
        "onfleet",
        "x-onfleet-signature",
        algorithm="hmac-sha512",
        key="hex",
        body='{"taskId":"2ve","triggerId":0,"triggerName":"taskStarted","time":1795478400000,"data":{}}',
    ),
    Sender(
        "pagerduty",
        "x-pagerduty-signature",
        label="v1",
        secret="{base64}",
        body='{"event":{"id":"5ac64822","event_type":"incident.acknowledged","data":{"id":"PGR0VU2"}}}',
        id="5ac64822",
        type="incident.acknowledged",
        unsigned={"x-webhook-id": "the subscription"},
    ),
    Sender(
        "paystack",
        "x-paystack-signature",
        algorithm="hmac-sha512",
        secret="sk_live_{short}",
        body='{"event":"transfer.success","data":{"id":302961,"reference":"qTPrJoy9Bx","amount":10000}}',
        type="transfer.success",
    ),
    Sender(
        "planetscale",
        "x-planetscale-signature",
        body='{"timestamp":1795478400,"event":"deploy_request.opened","database":"shop","resource":{"id":"1"}}',
        type="deploy_request.opened",
    ),
    Sender(
        "quickbooks",
        "intuit-signature",
        written="base64",
        body='{"eventNotifications":[{"realmId":"1","dataChangeEvent":{"entities":[{"name":"Bill","id":"2","operation":"Update"}]}}]}',
        arrays=True,
    ),
    Sender(
        "razorpay",
        "x-razorpay-signature",
        body='{"entity":"event","event":"refund.processed","payload":{"refund":{"entity":{"id":"rfnd_1"}}},"created_at":1}',
        type="refund.processed",
        unsigned={"x-razorpay-event-id": "JZ9"},
    ),
    Sender(
        "sentry",
        "sentry-hook-signature",
        body='{"action":"resolved","installation":{"uuid":"a8e5"},"data":{"issue":{"id":"1170820242"}}}',
        type="issue",
        type_header="sentry-hook-resource",
        unsigned={"request-id": "7d2b", "sentry-hook-timestamp": "1795478400"},
    ),
    Sender(
        "surveymonkey",
        "sm-signature",
        algorithm="hmac-sha1",
        written="base64",
        secret="client-{short}&{hex}",
        body='{"name":"hook","event_type":"response_updated","event_id":"10027","object_type":"response","object_id":"9"}',
        id="10027",
        type="response_updated",
    ),
    Sender(
        "taiga",
        "x-taiga-webhook-signature",
        algorithm="hmac-sha1",
        body='{"action":"change","type":"userstory","by":{"id":6},"data":{"id":1139,"subject":"Zo\u00eb"}}',
        type="userstory",
    ),
    Sender(
        "tally",
        "tally-signature",
        written="base64",
        body='{"eventId":"a4cb511e","eventType":"FORM_RESPONSE","createdAt":"2026-11-24T00:00:00.000Z","data":{}}',
        id="a4cb511e",
        type="FORM_RESPONSE",
    ),
    Sender(
        "typeform",
        "typeform-signature",
        prefix="sha256=",
        written="base64",
        body='{"event_id":"LtWXD3crgy","event_type":"form_response","form_response":{"form_id":"lT4Z3j"}}',
        id="LtWXD3crgy",
        type="form_response",
    ),
    Sender(
        "vercel",
        "x-vercel-signature",
        algorithm="hmac-sha1",
        body='{"id":"uev_1","type":"deployment.created","createdAt":1795478400000,"payload":{"deployment":{"id":"dpl_1"}}}',
        id="uev_1",
        type="deployment.created",
    ),
    Sender(
        "webex",
        "x-spark-signature",
        algorithm="hmac-sha1",
        body='{"id":"the webhook","resource":"memberships","event":"created","data":{"id":"the membership"}}',
        type="memberships",
    ),
    meta("whatsapp", "whatsapp_business_account", '{"field":"messages","value":{"messages":[{"id":"wamid.HBg"}]}}'),
    Sender(
        "woocommerce",
        "x-wc-webhook-signature",
        written="base64",
        body='{"id":727,"status":"completed","total":"29.35","date_modified":"2026-11-24T00:00:00"}',
        type="order.created",
        type_header="x-wc-webhook-topic",
        unsigned={"x-wc-webhook-delivery-id": "d8a2"},
    ),
    Sender(
        "x",
        "x-twitter-webhooks-signature",
        prefix="sha256=",
        written="base64",
        body='{"for_user_id":"2244994945","favorite_events":[{"id":"a7ba59eab0bfcba386f7acedac279542"}]}',
    ),
    Sender(
        "xero",
        "x-xero-signature",
        written="base64",
        secret="{base64}",
        body='{"events":[{"resourceId":"717f2bfc","eventType":"CREATE","eventCategory":"INVOICE"}],"firstEventSequence":1}',
    ),
]

# One HMAC over the body together with a time, an id or the URL.
TEMPLATES = [
    Sender(
        "airwallex",
        "x-signature",
        signs="{time}{body}",
        time="x-timestamp",
        unit="ms",
        body='{"id":"evt_hkdm","name":"payment_intent.created","accountId":"acct_1","data":{"object":{"id":"int_1"}}}',
        id="evt_hkdm",
        type="payment_intent.created",
    ),
    standard(
        "anthropic",
        body='{"type":"event","id":"event_011","data":{"type":"session.status_idled","id":"sess_1"}}',
        type="session.status_idled",
    ),
    Sender(
        "box",
        "box-signature-primary",
        more=("box-signature-secondary",),
        written="base64",
        signs="{body}{time}",
        time="box-delivery-timestamp",
        unit="-08:00",
        past=600,
        future=60,
        require={"box-signature-version": "1", "box-signature-algorithm": "HmacSHA256"},
        secret="{SHORT}",
        body='{"type":"webhook_event","id":"eb0c4e06","trigger":"FILE.DOWNLOADED","source":{"id":"1","name":"Zo\\u00eb"}}',
        id="eb0c4e06",
        type="FILE.DOWNLOADED",
        unsigned={"box-delivery-id": "673a081b"},
    ),
    standard("brex", "svix", body='{"event_type":"TRANSFER_FAILED","transfer_id":"dptx_1"}', type="TRANSFER_FAILED"),
    stripe_like(
        "calendly",
        "calendly-webhook-signature",
        secret="{short}",
        body='{"event":"invitee.canceled","created_at":"2026-11-24T00:00:00.000000Z","payload":{"uri":"https://api"}}',
        type="invitee.canceled",
    ),
    standard(
        "clerk", "svix", body='{"data":{"id":"user_29w"},"object":"event","type":"user.deleted"}', type="user.deleted"
    ),
    Sender(
        "customer-io",
        "x-cio-signature",
        signs="v0:{time}:{body}",
        time="x-cio-timestamp",
        body='{"event_id":"01E4C4CT6YDC7Y5M7FE1GWWPQJ","object_type":"email","metric":"bounced","timestamp":1795478400}',
        id="01E4C4CT6YDC7Y5M7FE1GWWPQJ",
        type="bounced",
    ),
    stripe_like(
        "elevenlabs",
        "elevenlabs-signature",
        label="v0",
        past=1800,
        secret="wsec_{hex}",
        body='{"type":"post_call_transcription","event_timestamp":1795478400,"data":{"conversation_id":"abc"}}',
        type="post_call_transcription",
    ),
    standard(
        "gitlab", body=GITLAB, type="push", unsigned={"x-gitlab-event": "Push Hook", "x-gitlab-event-uuid": "13792a34"}
    ),
    hubspot(
        "hubspot",
        "x-hubspot-signature-v3",
        written="base64",
        signs="{method}{url}{body}{time}",
        time="x-hubspot-request-timestamp",
        unit="ms",
    ),
    stripe_like(
        "langfuse",
        "x-langfuse-signature",
        secret="lf-whsec_{hex}",
        body='{"id":"evt_lf","timestamp":"2026-11-24T00:00:00.000Z","type":"prompt-version","action":"updated"}',
        id="evt_lf",
        type="prompt-version",
    ),
    Sender(
        "infisical",
        "x-infisical-signature",
        plain=True,
        separator=";",
        first_prefix="t=",
        unit="ms",
        body='{"event":"secrets.modified","project":{"workspaceId":"w1","environment":"prod"},"timestamp":1795478400000}',
        type="secrets.modified",
        time_in_body=True,
    ),
    Sender(
        "linear",
        "linear-signature",
        secret="lin_wh_{hex}",
        body='{"action":"create","type":"Comment","data":{"id":"2174"},"webhookTimestamp":1795478400000,"webhookId":"w1"}',
        type="Comment",
        unsigned={"linear-delivery": "234d1a4e", "linear-event": "Comment", "linear-timestamp": "1795478400000"},
        time_in_body=True,
    ),
    standard("liveblocks", body='{"type":"userEntered","data":{"roomId":"r1","connectionId":4}}', type="userEntered"),
    Sender(
        "metronome",
        "metronome-webhook-signature",
        signs="{time}\n{body}",
        time="x-metronome-date",
        unit="http-date",
        body='{"id":"a6ba5e9d","type":"alerts.spend_threshold_reached","properties":{"customer_id":"c1"}}',
        id="a6ba5e9d",
        type="alerts.spend_threshold_reached",
    ),
    stripe_like(
        "moneybird",
        "moneybird-signature",
        body='{"webhook_id":"1","action":"contact_changed","entity_type":"Contact","entity_id":"116015245643744263"}',
        type="contact_changed",
    ),
    stripe_like(
        "mux",
        "mux-signature",
        body='{"type":"video.asset.created","id":"3a56ac3d","data":{"id":"a1","status":"preparing"}}',
        id="3a56ac3d",
        type="video.asset.created",
    ),
    standard(
        "openai",
        body='{"id":"evt_685343a1381c819085d44c354e1b330e","object":"event","type":"batch.completed","data":{"id":"batch_1"}}',
        type="batch.completed",
    ),
    Sender(
        "paddle",
        "paddle-signature",
        label="h1",
        time_label="ts",
        separator=";",
        signs="{time}:{body}",
        secret="pdl_ntfset_01h_{short}",
        body='{"event_id":"evt_01hv","event_type":"subscription.canceled","notification_id":"ntf_01hv","data":{}}',
        id="evt_01hv",
        type="subscription.canceled",
    ),
    standard(
        "polar",
        key="text",
        secret="polar_whs_{base64}",
        body='{"type":"order.created","data":{"id":"o1"}}',
        type="order.created",
    ),
    stripe_like(
        "qonto",
        "x-qonto-signature",
        body='{"id":"e1","event_type":"transactions.updated","data":{"id":"t1","side":"debit"}}',
    ),
    Sender(
        "recurly",
        "recurly-signature",
        plain=True,
        signs="{time}.{body}",
        unit="ms",
        body='{"id":"qwe","object_type":"account","event_type":"closed","account_code":"a1"}',
        type="closed",
    ),
    standard("replicate", body='{"id":"ufawqhfynnddngldkgtslldrkq","status":"processing","output":null}'),
    standard("resend", "svix", body='{"type":"email.bounced","data":{"email_id":"56761188"}}', type="email.bounced"),
    Sender(
        "retell",
        "x-retell-signature",
        label="d",
        time_label="v",
        signs="{body}{time}",
        unit="ms",
        secret="key_{short}",
        body='{"event":"call_started","call":{"call_id":"Jabr9TXY"}}',
        type="call_started",
    ),
    Sender(
        "revolut",
        "revolut-signature",
        label="v1",
        signs="v1.{time}.{body}",
        time="revolut-request-timestamp",
        unit="ms",
        secret="wsk_{short}",
        body='{"event":"ORDER_AUTHORISED","order_id":"9fc01989","merchant_order_ext_ref":"1"}',
        type="ORDER_AUTHORISED",
    ),
    stripe_like(
        "sanity",
        "sanity-webhook-signature",
        written="base64url",
        unit="ms",
        body='{"_id":"resume","_type":"post","_rev":"1","title":"Zo\u00eb"}',
        unsigned={"idempotency-key": "k1"},
    ),
    Sender(
        "square",
        "x-square-hmacsha256-signature",
        written="base64",
        signs="{url}{body}",
        secret="{SHORT}",
        body='{"merchant_id":"MLE","type":"customer.created","event_id":"6a8f5f28","data":{"type":"customer","id":"16"}}',
        id="6a8f5f28",
        type="customer.created",
    ),
    stripe_like(
        "tailscale",
        "tailscale-webhook-signature",
        secret="tskey-webhook-{short}",
        body='[{"timestamp":"2026-11-24T00:00:00Z","version":1,"type":"nodeDeleted","tailnet":"acme.dev","data":{"nodeID":"n"}}]',
        arrays=True,
    ),
    Sender(
        "trello",
        "x-trello-webhook",
        algorithm="hmac-sha1",
        written="base64",
        signs="{body}{url}",
        body='{"action":{"id":"51f9424b","type":"commentCard","data":{"text":"Zo\u00eb"}},"model":{"id":"4d5e"}}',
        id="51f9424b",
        type="commentCard",
    ),
    Sender(
        "webflow",
        "x-webflow-signature",
        signs="{time}:{body}",
        time="x-webflow-timestamp",
        unit="ms",
        body='{"triggerType":"site_publish","payload":{"siteId":"s1","publishedOn":"2026-11-24T00:00:00.000Z"}}',
        type="site_publish",
    ),
    stripe_like(
        "workos",
        "workos-signature",
        separator=", ",
        unit="ms",
        past=180,
        future=180,
        body='{"id":"event_04FK","event":"user.updated","data":{"id":"user_01E4"},"created_at":"2026-11-24T00:00:00.000Z"}',
        id="event_04FK",
        type="user.updated",
    ),
    Sender(
        "zendesk",
        "x-zendesk-webhook-signature",
        written="base64",
        signs="{time}{body}",
        time="x-zendesk-webhook-signature-timestamp",
        unit="Z",
        body='{"id":"cbe4028c","type":"zen:event-type:user.merged","subject":"zen:user:1"}',
        unsigned={"x-zendesk-webhook-invocation-id": "01H"},
    ),
    Sender(
        "zoom",
        "x-zm-signature",
        prefix="v0=",
        signs="v0:{time}:{body}",
        time="x-zm-request-timestamp",
        secret="{SHORT}",
        body='{"event":"meeting.ended","event_ts":1795478400000,"payload":{"object":{"uuid":"4444AAAiAAAAAiAiAiiAii=="}}}',
        type="meeting.ended",
    ),
]

# A signature that is verified with the sender's public key.
PUBLIC_KEYS = [
    Sender(
        "discord",
        "x-signature-ed25519",
        **DISCORD_KEY,
        body='{"id":"1290","application_id":"8450","type":2,"token":"aW50","version":1,"data":{"name":"hello","type":1}}',
        id="1290",
    ),
    Sender(
        "discord-events",
        "x-signature-ed25519",
        **DISCORD_KEY,
        body='{"version":1,"application_id":"1234","type":1,"event":{"type":"ENTITLEMENT_CREATE","timestamp":"t","data":{}}}',
        type="ENTITLEMENT_CREATE",
    ),
    Sender(
        "sendgrid",
        "x-twilio-email-event-webhook-signature",
        algorithm="ecdsa-p256",
        written="base64",
        signs="{time}{body}",
        time="x-twilio-email-event-webhook-timestamp",
        body='[{"email":"zoe@acme.dev","event":"dropped","reason":"Bounced Address","sg_event_id":"ZHJvcC0xMDk5NDkx"}]\r\n',
        arrays=True,
    ),
    Sender(
        "travis",
        "signature",
        algorithm="rsa-sha1",
        written="base64",
        signs="{form:payload}",
        body="payload=%7B%22id%22%3A1%2C%22state%22%3A%22passed%22%2C%22message%22%3A%22a+b%22%7D",
        media=FORM,
        forms=True,
        unsigned={"travis-repo-slug": "team/repo"},
    ),
    Sender(
        "wise",
        "x-signature-sha256",
        algorithm="rsa-sha256",
        written="base64",
        body='{"data":{"resource":{"id":2,"type":"balance-account"}},"subscription_id":"s","event_type":"balances#credit"}',
        type="balances#credit",
        unsigned={"x-delivery-id": "72b9", "x-signature": "RSA with SHA-1"},
    ),
]

# A shared token or password.
TOKENS = [
    token("auth0-log-streams", "authorization", '[{"log_id":"900","data":{"type":"f","log_id":"900"}}]', arrays=True),
    token(
        "bigcommerce",
        "x-webhook-token",
        '{"scope":"store/cart/created","store_id":"1","data":{"type":"cart","id":"09"},"hash":"3f9ea420","created_at":1}',
        id="3f9ea420",
        type="store/cart/created",
    ),
    basic(
        "chargebee",
        '{"id":"ev_16B","occurred_at":1,"event_type":"invoice_generated","content":{}}',
        id="ev_16B",
        type="invoice_generated",
    ),
    token("datadog", "x-webhook-token", '{"id":"4","event_type":"metric_slo_alert","title":"[Warn]"}'),
    token("deepgram", "dg-token", '{"metadata":{"request_id":"1b56","channels":1},"results":{}}', id="1b56"),
    token(
        "eventbridge",
        "authorization",
        '{"version":"0","id":"6a7e8feb","detail-type":"EC2 Instance State-change Notification","source":"aws.ec2","detail":{}}',
        id="6a7e8feb",
        type="EC2 Instance State-change Notification",
    ),
    token(
        "figma",
        "field:passcode",
        '{"event_type":"FILE_COMMENT","file_key":"zH6","passcode":"%TOKEN%","retries":0,"webhook_id":"22"}',
        type="FILE_COMMENT",
    ),
    token(
        "gitlab-token",
        "x-gitlab-token",
        GITLAB,
        type="push",
        unsigned={"idempotency-key": "f5e5f430", "x-gitlab-event": "Push Hook", "x-gitlab-event-uuid": "13792a34"},
    ),
    token("mollie-classic", "query:token", "id=tr_d0b0E3EA3v", media=FORM, forms=True),
    token(
        "okta",
        "authorization",
        '{"eventType":"com.okta.event_hook","eventId":"b5a188b9","data":{"events":[]}}',
        id="b5a188b9",
    ),
    basic(
        "postmark",
        '{"RecordType":"Bounce","MessageID":"883953f4","Type":"HardBounce","Email":"zoe@acme.dev"}',
        type="Bounce",
    ),
    basic(
        "recurly-xml",
        '<?xml version="1.0"?><new_account_notification><account><account_code>1</account_code></account></new_account_notification>',
        media="application/xml",
    ),
    token(
        "strava",
        "query:token",
        '{"aspect_type":"create","object_type":"athlete","object_id":134815,"owner_id":134815,"updates":{}}',
        type="athlete",
    ),
    token(
        "supabase",
        "authorization",
        '{"type":"UPDATE","table":"users","record":{"id":1},"old_record":{"id":1}}',
        type="UPDATE",
        prefix="Bearer ",
    ),
    token(
        "telegram",
        "x-telegram-bot-api-secret-token",
        '{"update_id":10000,"message":{"date":1441645532,"chat":{"id":1111111},"message_id":1365,"text":"/start"}}',
        id=10000,
    ),
]

# A hash of the secret together with the content: no HMAC.
HASHES = [
    cloudinary("cloudinary", "sha256"),
    cloudinary("cloudinary-sha1", "sha1"),
    hubspot("hubspot-v1", "x-hubspot-signature", algorithm="sha256", signs="{secret}{body}"),
    hubspot("hubspot-v2", "x-hubspot-signature", algorithm="sha256", signs="{secret}{method}{url}{body}"),
]

SENDERS = {it.name: it for it in [*BODY_ONLY, *TEMPLATES, *PUBLIC_KEYS, *TOKENS, *HASHES]}
