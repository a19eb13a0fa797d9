"""Webhooks by hand, with `hmac`, `json`, pydantic and boto3: what the library is measured against.

Both views do what the library does for a valid event: verify the body, keep it in DynamoDB unless its id is there, run
the handler, and write down that it is done. `common` is the view as it is usually written; `careful` is by somebody who
knows what a forged request may cost.
"""

import hashlib
import hmac
import json
import os
import time
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError
from django.core.exceptions import SuspiciousOperation
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST
from pydantic import BaseModel, ValidationError

SECRET = os.environ["BENCH_SECRET"].encode()
TABLE = os.environ["BENCH_PLAIN_TABLE"]
DAY = 86_400


class OrderEvent(BaseModel):
    id: str
    type: str
    pad: str


table = boto3.resource("dynamodb").Table(TABLE)
client = boto3.client("dynamodb", config=Config(max_pool_connections=32))


def handle(event: OrderEvent) -> None:
    """The project's own work, which is not what is measured."""


@csrf_exempt
@require_POST
def common(request: HttpRequest) -> HttpResponse:
    expected = hmac.new(SECRET, request.body, hashlib.sha256).hexdigest()
    if not hmac.compare_digest(expected, request.headers.get("X-Signature", "")):
        raise SuspiciousOperation("wrong signature")
    payload: dict[str, Any] = json.loads(request.body)
    try:
        table.put_item(
            Item={
                "event_id": payload["id"],
                "body": request.body,
                "status": "pending",
                "received_at": int(time.time()),
                "expires_at": int(time.time()) + 30 * DAY,
            },
            ConditionExpression="attribute_not_exists(event_id)",
        )
    except ClientError as error:
        if error.response["Error"]["Code"] != "ConditionalCheckFailedException":
            raise
        return JsonResponse({"status": "duplicate"})
    handle(OrderEvent.model_validate(payload))
    table.update_item(
        Key={"event_id": payload["id"]},
        UpdateExpression="SET #s = :s, processed_at = :at",
        ExpressionAttributeNames={"#s": "status"},
        ExpressionAttributeValues={":s": "processed", ":at": int(time.time())},
    )
    return JsonResponse({"status": "ok"})


@csrf_exempt
@require_POST
def careful(request: HttpRequest) -> HttpResponse:
    body = request.body
    expected = hmac.new(SECRET, body, hashlib.sha256).hexdigest().encode()
    if not hmac.compare_digest(expected, request.headers.get("X-Signature", "").encode()):
        return HttpResponse(status=403)
    try:
        event = OrderEvent.model_validate_json(body)
    except ValidationError:
        return HttpResponse(status=422)
    now = int(time.time())
    key = {"event_id": {"S": f"orders#{event.id}"}}
    try:
        client.put_item(
            TableName=TABLE,
            Item=key
            | {
                "body": {"B": body},
                "status": {"S": "pending"},
                "received_at": {"N": str(now)},
                "lease_until": {"N": str(now + 60)},
                "expires_at": {"N": str(now + 30 * DAY)},
            },
            ConditionExpression="attribute_not_exists(event_id) OR (#s = :pending AND lease_until < :now)",
            ExpressionAttributeNames={"#s": "status"},
            ExpressionAttributeValues={":pending": {"S": "pending"}, ":now": {"N": str(now)}},
        )
    except client.exceptions.ConditionalCheckFailedException:
        kept = client.get_item(TableName=TABLE, Key=key, ConsistentRead=True)["Item"]
        return JsonResponse({"status": "ok"}, status=200 if kept["status"]["S"] == "processed" else 503)
    handle(event)
    client.update_item(
        TableName=TABLE,
        Key=key,
        UpdateExpression="SET #s = :processed, processed_at = :now",
        ConditionExpression="lease_until = :lease",
        ExpressionAttributeNames={"#s": "status"},
        ExpressionAttributeValues={
            ":processed": {"S": "processed"},
            ":now": {"N": str(int(time.time()))},
            ":lease": {"N": str(now + 60)},
        },
    )
    return JsonResponse({"status": "ok"})
