"""Asks the official Python packages. `ask.mjs` asks those of Node in the same way.

python ask.py list     prints which packages there are, and what they need
python ask.py sign     reads requests to be signed and prints the headers that each gets
python ask.py verify   reads requests and prints what the package says of each: `null` for yes, otherwise why not
"""

import base64
import contextlib
import json
import logging
import sys

from official import OFFICIAL, named, verdict


def listed():
    return [
        {
            "package": it.package,
            "provider": it.provider,
            "signs": it.sign is not None,
            "bodies": it.bodies,
            "needs": it.needs,
        }
        for it in OFFICIAL
    ]


def signed(it):
    official = named(it["package"], it["provider"])
    body = base64.b64decode(it["body"]).decode()
    return official.sign(it["secrets"][0], it["id"], it["now"], body, it["url"])


def verified(it):
    official = named(it["package"], it["provider"])
    body = base64.b64decode(it["body"])
    return verdict(official, it["secrets"], it["headers"], body, it["now"], it["url"])


logging.disable()
answers: object
# Some packages print what they think of a request.
with contextlib.redirect_stdout(None):
    match sys.argv[1:]:
        case ["list"]:
            answers = listed()
        case ["sign"]:
            answers = [signed(it) for it in json.load(sys.stdin)]
        case ["verify"]:
            answers = [verified(it) for it in json.load(sys.stdin)]
        case _:
            sys.exit(__doc__)
json.dump(answers, sys.stdout)
