"""Reads requests as JSON and prints what the official packages say of each: `null` for yes, otherwise why not."""

import base64
import json
import sys

from official import verdict

requests = json.load(sys.stdin)
verdicts = [
    verdict(it["provider"], it["secrets"], it["headers"], base64.b64decode(it["body"]), it["now"]) for it in requests
]
json.dump(verdicts, sys.stdout)
