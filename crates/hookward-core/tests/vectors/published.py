"""Vectors of the senders that sign by JSON Web Tokens or by certificates. See `generate.py`, which writes them.

RSA (PKCS #1 v1.5) and ECDSA on P-256 by the formulas of RFC 8017 and FIPS 186, with the standard library only.
"""

import base64
import hashlib
import json
import zlib
from urllib.parse import quote

import published_keys as keys
from generate import JSON, NOW, OTHER_TEXT_SECRET, TEXT_SECRET, Vectors, b64, hmac_of


def number(text: str) -> int:
    return int(text, 16)


class Rsa:
    def __init__(self, n: str, d: str):
        self.n, self.d = number(n), number(d)

    def sign(self, content: bytes, algorithm: str = "sha256") -> bytes:
        start = {
            "sha256": "3031300d060960864801650304020105000420",
            "sha1": "3021300906052b0e03021a05000414",
        }[algorithm]
        digest = bytes.fromhex(start) + hashlib.new(algorithm, content).digest()
        padded = b"\0\1" + b"\xff" * (256 - 3 - len(digest)) + b"\0" + digest
        return pow(int.from_bytes(padded, "big"), self.d, self.n).to_bytes(256, "big")

    def jwk(self, kid: str, **others) -> dict:
        n = b64url(self.n.to_bytes(256, "big"))
        return {"kty": "RSA", "use": "sig", "alg": "RS256", "kid": kid, "n": n, "e": "AQAB", **others}


FIRST = Rsa(keys.FIRST_N, keys.FIRST_D)
SECOND = Rsa(keys.SECOND_N, keys.SECOND_D)
AWS = Rsa(keys.AWS_N, keys.AWS_D)
PAYPAL = Rsa(keys.PAYPAL_N, keys.PAYPAL_D)


class P256:
    P = 2**256 - 2**224 + 2**192 + 2**96 - 1
    N = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
    G = (
        0x6B17D1F2E12C4247F8BCE6E563A440F277037D812DEB33A0F4A13945D898C296,
        0x4FE342E2FE1A7F9B8EE7EB4A7C0F9E162BCE33576B315ECECBB6406837BF51F5,
    )

    def __init__(self, seed: str):
        self.d = int.from_bytes(hashlib.sha256(seed.encode()).digest(), "big") % self.N
        self.x, self.y = self.times(self.d, self.G)

    @classmethod
    def add(cls, a, b):
        if a is None or b is None:
            return a or b
        (ax, ay), (bx, by) = a, b
        if ax == bx and (ay + by) % cls.P == 0:
            return None
        if a == b:
            slope = (3 * ax * ax - 3) * pow(2 * ay, -1, cls.P) % cls.P
        else:
            slope = (by - ay) * pow(bx - ax, -1, cls.P) % cls.P
        x = (slope * slope - ax - bx) % cls.P
        return x, (slope * (ax - x) - ay) % cls.P

    @classmethod
    def times(cls, factor, point):
        result = None
        while factor:
            if factor & 1:
                result = cls.add(result, point)
            point = cls.add(point, point)
            factor >>= 1
        return result

    def numbers(self, content: bytes) -> tuple[int, int]:
        digest = hashlib.sha256(content).digest()
        nonce = int.from_bytes(hashlib.sha512(self.d.to_bytes(32, "big") + digest).digest(), "big") % self.N
        r = self.times(nonce, self.G)[0] % self.N
        return r, pow(nonce, -1, self.N) * (int.from_bytes(digest, "big") + r * self.d) % self.N

    def sign(self, content: bytes) -> bytes:
        r, s = self.numbers(content)
        return r.to_bytes(32, "big") + s.to_bytes(32, "big")

    def sign_der(self, content: bytes) -> bytes:
        def integer(value):
            data = value.to_bytes(33, "big").lstrip(b"\0")
            data = b"\0" + data if data[0] & 128 else data
            return bytes([2, len(data)]) + data

        both = b"".join(map(integer, self.numbers(content)))
        return bytes([48, len(both)]) + both

    def jwk(self, kid: str, **others) -> dict:
        x, y = (b64url(it.to_bytes(32, "big")) for it in (self.x, self.y))
        return {"kty": "EC", "use": "sig", "alg": "ES256", "crv": "P-256", "kid": kid, "x": x, "y": y, **others}


def b64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def compact(value) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode() if isinstance(value, dict) else value.encode()


def token(header, claims, sign) -> str:
    """`header` and `claims` as objects, or as the text to write."""
    content = f"{b64url(compact(header))}.{b64url(compact(claims))}"
    return f"{content}.{b64url(sign(content.encode()))}"


def hs256(secret=TEXT_SECRET, algorithm="sha256"):
    return lambda content: hmac_of(secret.encode(), content, algorithm)


def sha256_hex(body: str) -> str:
    return hashlib.sha256(body.encode()).hexdigest()


def sha256_b64(body: str) -> str:
    return b64(hashlib.sha256(body.encode()).digest())


class Tokens:
    """Vectors of a sender whose token is in a header."""

    def __init__(self, vectors, header, prefix, body, claims, identity, event_type, *, alg, sign, more=(), kid=None):
        self.vectors, self.header, self.prefix, self.body = vectors, header, prefix, body
        self.claims, self.identity, self.event_type = claims, identity, event_type
        self.jose = {"alg": alg, "typ": "JWT", **({"kid": kid} if kid else {})}
        self.sign, self.more = sign, [JSON, *more]

    def lines(self, jose=None, claims=None, sign=None, prefix=None):
        value = token(jose or self.jose, claims if claims is not None else self.claims, sign or self.sign)
        return [(self.header, (self.prefix if prefix is None else prefix) + value), *self.more]

    def admitted(self, name, lines, body=None, identity=False, **others):
        identity = self.identity if identity is False else identity
        self.vectors.admitted(name, lines, body or self.body, identity, self.event_type, **others)

    def refused(self, name, lines, reason, body=None, **others):
        self.vectors.refused(name, lines, self.body if body is None else body, reason, **others)

    def with_claims(self, **changed):
        claims = {**self.claims, **changed}
        return self.lines(claims={name: value for name, value in claims.items() if value is not None})

    def standard(self, other_sign):
        """What holds for all of them."""
        good = self.lines()
        value = good[0][1]
        bare = value[len(self.prefix) :]
        head, claims, signature = bare.split(".")
        self.admitted("as sent", good)
        self.admitted("an unknown claim", self.with_claims(unknown=[1, {"a": None}]))
        self.admitted("an unknown header", self.lines(jose={**self.jose, "jku": "https://evil.example/jwks"}))
        self.refused("by another key", self.lines(sign=other_sign), "wrong_signature")
        self.refused("no token", good[1:], "missing_signature")
        self.refused("an empty token", [(self.header, ""), *good[1:]], "missing_signature")
        self.refused("the token twice", [good[0], *good], "ambiguous_signature")
        self.refused("two tokens in one line", [(self.header, f"{value}, {value}"), *good[1:]], "ambiguous_signature")
        for name, bad in [
            ("half a token", bare[: len(bare) // 2]),
            ("no signature in it", f"{head}.{claims}."),
            ("two parts", f"{head}.{claims}"),
            ("four parts", f"{bare}.{signature}"),
            ("padded", f"{head}.{claims}.{signature}=="),
            ("the other alphabet", f"{head}.{claims}.+/{signature[2:]}"),
            ("white space within", f"{head}.{claims}. {signature}"),
            ("claims that are no object", f"{head}.{b64url(b'[]')}.{signature}"),
            ("claims that are no JSON", f"{head}.{b64url(b'x')}.{signature}"),
            ("a claim twice", token(self.jose, json.dumps(self.claims)[:-1] + ',"iss":"a","iss":"b"}', self.sign)),
            ("alg twice", token('{"alg":"none",' + json.dumps(self.jose)[1:], self.claims, self.sign)),
            ("a header of 2 KiB", token({**self.jose, "x": "x" * 2048}, self.claims, self.sign)),
            ("a token of 12 KiB", token(self.jose, {**self.claims, "x": "x" * 9216}, self.sign)),
        ]:
            self.refused(name, [(self.header, self.prefix + bad), *good[1:]], "malformed_signature")
        for alg in ["none", "None", "HS512", "HS384", "PS256", "ES384", ""]:
            self.refused(f"alg {alg!r}", self.lines(jose={**self.jose, "alg": alg}), "malformed_signature")
        without = [(self.header, self.prefix + token({"alg": "none"}, self.claims, lambda _: b"")), *good[1:]]
        self.refused("unsigned", without, "malformed_signature")
        critical = self.lines(jose={**self.jose, "crit": ["b64"], "b64": False})
        self.refused("crit", critical, "malformed_signature")
        self.refused("a prefix too much", self.lines(prefix=f"{self.prefix}JWT "), "malformed_signature")
        other = json.dumps({**self.claims, "more": 1}, separators=(",", ":")).encode()
        self.refused(
            "other claims under the signature",
            [(self.header, f"{self.prefix}{head}.{b64url(other)}.{signature}"), *good[1:]],
            "wrong_signature",
        )
        self.refused("no type", [good[0], *good[2:]], "unsupported_type")

    def binds_body(self, claim, digest):
        body = self.body
        self.refused("another body", self.lines(), "wrong_signature", body.replace("1", "2", 1))
        self.refused("a byte more", self.lines(), "wrong_signature", body + "\n")
        self.refused("no body", self.lines(), "wrong_signature", "")
        self.refused("no digest", self.with_claims(**{claim: None}), "wrong_claim")
        self.refused("an empty digest", self.with_claims(**{claim: ""}), "wrong_signature")
        half = digest(body)[:32]
        self.refused("half a digest", self.with_claims(**{claim: half}), "wrong_signature")
        self.refused("a digest that is a number", self.with_claims(**{claim: 1}), "wrong_claim")

    def ends(self, lasts, leeway):
        """`exp` is demanded."""
        end = NOW + lasts
        self.admitted("just before it is too late", self.lines(), now=end + leeway)
        self.refused("too late", self.lines(), "stale", now=end + leeway + 1)
        self.refused("a year later", self.lines(), "stale", now=NOW + 31_536_000)
        self.refused("no end", self.with_claims(exp=None), "wrong_claim")
        self.refused("an end that is a text", self.with_claims(exp=str(end)), "wrong_claim")
        self.refused("an end before 1970", self.with_claims(exp=-1), "wrong_claim")
        self.refused("an end in a year", self.with_claims(exp=NOW + 31_536_000), "wrong_claim")
        self.refused("from the future", self.with_claims(nbf=NOW + leeway + 1), "from_the_future")
        self.refused("made in the future", self.with_claims(iat=NOW + leeway + 1), "from_the_future")
        self.admitted("an end with a fraction", self.with_claims(exp=end + 0.5))


def livekit():
    vectors = Vectors("livekit", [TEXT_SECRET], options={"api_key": ["APIkey1"]})
    body = '{"event":"room_started","id":"EV_1"}'
    claims = {"iss": "APIkey1", "nbf": NOW, "exp": NOW + 300, "sha256": sha256_b64(body)}
    it = Tokens(
        vectors, "authorization", "", body, claims, "EV_1", "room_started", alg="HS256", sign=hs256()
    )
    it.standard(hs256(OTHER_TEXT_SECRET))
    it.binds_body("sha256", sha256_b64)
    it.ends(300, 60)
    it.refused("another issuer", it.with_claims(iss="APIkey2"), "wrong_claim")
    it.refused("no issuer", it.with_claims(iss=None), "wrong_claim")
    it.refused("the digest in hex", it.with_claims(sha256=sha256_hex(body)), "wrong_signature")
    it.refused("under the empty secret", it.lines(sign=hs256("")), "wrong_signature")
    it.refused("SHA-512 under the name of SHA-256", it.lines(sign=hs256(algorithm="sha512")), "wrong_signature")
    it.admitted("under the second secret", it.lines(), secrets=[OTHER_TEXT_SECRET, TEXT_SECRET])
    it.admitted("its own type", [it.lines()[0], ("content-type", "application/webhook+json")])
    return vectors


def netlify():
    vectors = Vectors("netlify", [TEXT_SECRET])
    body = '{"id":"1","state":"ready"}'
    claims = {"iss": "netlify", "sha256": sha256_hex(body)}
    event = [("x-netlify-event", "deploy_created")]
    it = Tokens(
        vectors, "x-webhook-signature", "", body, claims, None, "deploy_created", alg="HS256", sign=hs256(), more=event
    )
    it.standard(hs256(OTHER_TEXT_SECRET))
    it.binds_body("sha256", sha256_hex)
    it.refused("another issuer", it.with_claims(iss="netlify.example"), "wrong_claim")
    it.refused("the digest in base64", it.with_claims(sha256=sha256_b64(body)), "wrong_claim")
    it.admitted("a year later", it.lines(), now=NOW + 31_536_000)
    it.refused("with an end that has come", it.with_claims(exp=NOW - 301), "stale")
    return vectors


def jwk_set(*jwks) -> str:
    return json.dumps({"keys": list(jwks)})


def fusionauth():
    url = "https://auth.hookward.test/.well-known/jwks.json"
    documents = {url: jwk_set({"kty": "OKP", "kid": "other"}, FIRST.jwk("first"), SECOND.jwk("second", use="enc"))}
    vectors = Vectors("fusionauth", [TEXT_SECRET], published={"documents": documents})
    body = '{"event":{"id":"evt_1","type":"user.create"}}'
    claims = {"request_body_sha256": sha256_b64(body)}
    header = "x-fusionauth-signature-jwt"
    it = Tokens(vectors, header, "", body, claims, "evt_1", "user.create", alg="HS256", sign=hs256())
    it.standard(hs256(OTHER_TEXT_SECRET))
    it.binds_body("request_body_sha256", sha256_b64)
    by_key = {"secrets": [], "options": {"jwks": [url]}}
    rs256 = {"alg": "RS256", "kid": "first"}
    it.admitted("RS256", it.lines(rs256, sign=FIRST.sign), **by_key)
    it.refused("RS256 where HS256 is configured", it.lines(rs256, sign=FIRST.sign), "malformed_signature")
    it.refused("HS256 where RS256 is configured", it.lines(), "malformed_signature", **by_key)
    document = documents[url]
    for name, secret in [("the set of keys", document), ("the public key", FIRST.jwk("first")["n"])]:
        confused = it.lines({"alg": "HS256", "kid": "first"}, sign=hs256(secret))
        it.refused(f"HS256 keyed with {name}", confused, "malformed_signature", **by_key)
    it.refused("RS256 by another key", it.lines(rs256, sign=SECOND.sign), "wrong_signature", **by_key)
    it.refused("no kid", it.lines({"alg": "RS256"}, sign=FIRST.sign), "malformed_signature", **by_key)
    unknown = it.lines({"alg": "RS256", "kid": "third"}, sign=FIRST.sign)
    it.refused("a kid that is not in the set", unknown, "wrong_signature", **by_key)
    encrypting = it.lines({"alg": "RS256", "kid": "second"}, sign=SECOND.sign)
    it.refused("a key that is not for signatures", encrypting, "wrong_signature", **by_key)
    carried = it.lines({"alg": "RS256", "kid": "first", "jwk": SECOND.jwk("first")}, sign=SECOND.sign)
    it.refused("with a key of its own", carried, "wrong_signature", **by_key)
    it.refused("a set that is not there", it.lines(rs256, sign=FIRST.sign), "key_pending", secrets=[],
               options={"jwks": ["https://auth.hookward.test/elsewhere"]})
    sha1 = it.lines(rs256, sign=lambda content: FIRST.sign(content, "sha1"))
    it.refused("RS256 with SHA-1", sha1, "wrong_signature", **by_key)
    return vectors


def google_pubsub():
    url = "https://www.googleapis.com/oauth2/v3/certs"
    documents = {url: jwk_set(FIRST.jwk("first"), SECOND.jwk("second"))}
    account = "push@sample.iam.gserviceaccount.com"
    options = {"audience": ["https://hooks.hookward.test/pubsub"], "email": [account]}
    vectors = Vectors("google-pubsub", [], options=options, published={"documents": documents})
    body = '{"message":{"data":"aGVsbG8=","messageId":"136969346945"},"subscription":"projects/a/subscriptions/b"}'
    claims = {
        "aud": options["audience"][0], "azp": "113774264463038321964", "email": account, "email_verified": True,
        "exp": NOW + 3600, "iat": NOW, "iss": "https://accounts.google.com", "sub": "113774264463038321964",
    }
    it = Tokens(vectors, "authorization", "Bearer ", body, claims, "136969346945", None,
                alg="RS256", sign=FIRST.sign, kid="first")
    it.standard(SECOND.sign)
    it.ends(3600, 60)
    it.admitted("by the second key", it.lines({"alg": "RS256", "kid": "second"}, sign=SECOND.sign))
    it.admitted("bearer in small letters", it.lines(prefix="bearer "))
    it.admitted("the other issuer", it.with_claims(iss="accounts.google.com"))
    it.admitted("several audiences", it.with_claims(aud=["https://other.hookward.test", claims["aud"]]))
    # Stated, not wished for: the token covers nothing of the body.
    other = body.replace("136969346945", "2")
    it.admitted("another body", it.lines(), other, "2")
    for name, changed in [
        ("another issuer", {"iss": "https://accounts.google.com.evil.example"}),
        ("another audience", {"aud": "https://hooks.hookward.test"}),
        ("no audience", {"aud": None}),
        ("an empty list of audiences", {"aud": []}),
        ("another account", {"email": "other@sample.iam.gserviceaccount.com"}),
        ("no account", {"email": None}),
        ("an account that is not verified", {"email_verified": False}),
        ("an account that is said to be verified", {"email_verified": "true"}),
    ]:
        it.refused(name, it.with_claims(**changed), "wrong_claim")
    it.refused("no Bearer", it.lines(prefix=""), "malformed_signature")
    it.refused("HS256 with the public key", it.lines({"alg": "HS256", "kid": "first"}, sign=hs256("x")), "malformed_signature")
    it.refused("an unknown kid", it.lines({"alg": "RS256", "kid": "third"}), "wrong_signature")
    return vectors


def monday():
    url = "https://hooks.hookward.test/hooks/monday"
    vectors = Vectors("monday", [TEXT_SECRET], url=url)
    asked = '{"challenge":"3eZbrw1a"}'
    vectors.add("the challenge is answered", [("content-type", "application/json")], asked, {"answered": asked})
    body = '{"event":{"type":"create_pulse","triggerUuid":"uuid-1"}}'
    claims = {"accountId": 1, "userId": 2, "aud": url, "exp": NOW + 300, "iat": NOW}
    it = Tokens(vectors, "authorization", "", body, claims, "uuid-1", "create_pulse", alg="HS256", sign=hs256())
    it.standard(hs256(OTHER_TEXT_SECRET))
    it.ends(300, 60)
    it.refused("for another URL", it.with_claims(aud=url + "/"), "wrong_claim")
    it.refused("for nobody", it.with_claims(aud=None), "wrong_claim")
    # Stated, not wished for: the token covers nothing of the body.
    it.admitted("another body", it.lines(), body.replace("uuid-1", "uuid-2"), "uuid-2")
    return vectors


def query_hash(method, path, query=()):
    """As developer.atlassian.com describes it ("Query string hash"); `query` holds names and lists of values."""

    def encoded(text):
        return quote(text, safe="-._~")

    fields = [f"{encoded(name)}={','.join(encoded(value) for value in sorted(values))}" for name, values in sorted(query)]
    return sha256_hex(f"{method}&{path}&{'&'.join(fields)}")


def atlassian_connect():
    url, path = "https://hooks.hookward.test/hooks/atlassian-connect", "/hooks/atlassian-connect"
    vectors = Vectors("atlassian-connect", [TEXT_SECRET], url=url, options={"client_key": ["client-1"]})
    body = '{"timestamp":1795478400000,"webhookEvent":"jira:issue_updated","issue":{"id":"10001"}}'
    claims = {"iss": "client-1", "iat": NOW, "exp": NOW + 180, "qsh": query_hash("POST", path)}
    # Made by atlassian-jwt 2.0.3: createQueryStringHash.
    assert claims["qsh"] == "0e4f375bf652461cad7bb8a8eca50ace768ff3a0b0b52fc1fd7b13df60b17a48"
    it = Tokens(vectors, "authorization", "JWT ", body, claims, None, "jira:issue_updated", alg="HS256", sign=hs256())
    it.standard(hs256(OTHER_TEXT_SECRET))
    it.ends(180, 60)
    it.admitted("under the second secret", it.lines(), secrets=[OTHER_TEXT_SECRET, TEXT_SECRET])
    it.admitted("JWT in lower case", it.lines(prefix="jwt "))
    it.refused("Bearer", it.lines(prefix="Bearer "), "malformed_signature")
    it.refused("another installation", it.with_claims(iss="client-2"), "wrong_claim")
    it.refused("no issuer", it.with_claims(iss=None), "wrong_claim")
    it.refused("no hash", it.with_claims(qsh=None), "wrong_claim")
    it.refused("a hash that is a number", it.with_claims(qsh=1), "wrong_claim")
    it.refused("the hash of no request", it.with_claims(qsh="context-qsh"), "wrong_claim")
    it.refused("for another method", it.with_claims(qsh=query_hash("GET", path)), "wrong_claim")
    it.refused("for another path", it.with_claims(qsh=query_hash("POST", path + "s")), "wrong_claim")
    it.refused("with a query that is not signed", it.lines(), "wrong_claim", target=path + "?a=1")
    written = "?b=2&a=x+y%2F%C3%A9&b=1&c=&user_key=%7E*"
    query = [("b", ["2", "1"]), ("a", ["x y/é"]), ("c", [""]), ("user_key", ["~*"])]
    asked = it.with_claims(qsh=query_hash("POST", path, query))
    assert query_hash("POST", path, query) == "66b95abb0df168ecc348ad60e175072f71c3b27e08559b8a767823a39082c3be"  # made by atlassian-jwt
    it.admitted("with a query", asked, target=path + written)
    it.admitted("with its fields in another order", asked, target=path + "?" + "&".join(reversed(written[1:].split("&"))))
    it.admitted("with the query that is configured", asked, url=url + written)
    it.refused("with another query", asked, "wrong_claim", target=path + written.replace("1", "3"))
    it.refused("with a query that cannot be decoded", asked, "malformed_signature", target=path + "?a=%zz")
    below = {"options": {"client_key": ["client-1"], "base_url": ["https://hooks.hookward.test/hooks/"]}}
    relative = it.with_claims(qsh=query_hash("POST", "/atlassian-connect"))
    it.admitted("below the base URL", relative, **below)
    it.refused("below no base URL", relative, "wrong_claim")
    it.admitted("a slash at the end of the URL", it.lines(), url=url + "/")
    bare = it.lines()[0][1].removeprefix("JWT ")
    it.admitted("the token in the query", [JSON], target=f"{path}?jwt={bare}")
    it.refused("the token in the query and the header", it.lines(), "ambiguous_signature", target=f"{path}?jwt={bare}")
    it.refused("the token in the query twice", [JSON], "ambiguous_signature", target=f"{path}?jwt={bare}&jwt={bare}")
    it.refused("an empty token in the query", [JSON], "missing_signature", target=f"{path}?jwt=")
    # Stated, not wished for: the token covers nothing of the body.
    it.admitted("another body", it.lines(), body.replace("10001", "10002"))
    return vectors


def plaid():
    first, second = P256("hookward vectors 1"), P256("hookward vectors 2")
    url = "https://production.plaid.com/webhook_verification_key/get"

    def answer(jwk, expired_at=None):
        return json.dumps({"key": {**jwk, "created_at": NOW - 10_000, "expired_at": expired_at}, "request_id": "x"})

    documents = {
        f"{url} first": answer(first.jwk("first")),
        f"{url} second": answer(second.jwk("second")),
        f"{url} ended": answer(second.jwk("ended"), NOW - 1),
        f"{url} ends": answer(second.jwk("ends"), NOW + 1),
        f"{url} mixed up": answer(second.jwk("second")),
    }
    vectors = Vectors("plaid", [TEXT_SECRET], options={"client_id": ["client1"]}, published={"documents": documents})
    body = '{\n  "item_id": "item_1",\n  "webhook_code": "DEFAULT_UPDATE"\n}'
    claims = {"iat": NOW, "request_body_sha256": sha256_hex(body)}
    it = Tokens(vectors, "plaid-verification", "", body, claims, None, "DEFAULT_UPDATE",
                alg="ES256", sign=first.sign, kid="first")
    it.standard(second.sign)
    it.binds_body("request_body_sha256", sha256_hex)
    it.admitted("5 minutes later", it.lines(), now=NOW + 300)
    it.refused("later than that", it.lines(), "stale", now=NOW + 301)
    it.refused("early", it.lines(), "from_the_future", now=NOW - 301)
    it.refused("no time", it.with_claims(iat=None), "wrong_claim")
    it.admitted("by the second key", it.lines({"alg": "ES256", "kid": "second"}, sign=second.sign))
    it.admitted("by a key that ends", it.lines({"alg": "ES256", "kid": "ends"}, sign=second.sign))
    it.refused("by a key that has ended", it.lines({"alg": "ES256", "kid": "ended"}, sign=second.sign), "wrong_signature")
    it.refused("an unknown kid", it.lines({"alg": "ES256", "kid": "third"}), "wrong_signature")
    mixed = it.lines({"alg": "ES256", "kid": "mixed up"}, sign=second.sign)
    it.refused("a key that is another one", mixed, "wrong_signature")
    it.refused("the signature in DER", it.lines(sign=first.sign_der), "wrong_signature")
    it.refused("a signature of zeros", it.lines(sign=lambda _: bytes(64)), "wrong_signature")
    return vectors


def kinde():
    url = "https://sample.kinde.com/.well-known/jwks"
    documents = {url: jwk_set(FIRST.jwk("first"))}
    vectors = Vectors("kinde", [], options={"domain": ["sample.kinde.com"]}, published={"documents": documents})
    claims = {"type": "user.created", "event_id": "event_1", "timestamp": "2026-11-24T00:00:00Z", "data": {"user": {}}}
    jose = {"alg": "RS256", "typ": "JWT", "kid": "first"}
    lines = [("content-type", "application/jwt")]
    good = token(jose, claims, FIRST.sign)
    head, middle, signature = good.split(".")
    vectors.admitted("as sent", lines, good)
    large = token(jose, {**claims, "x": "x" * 100_000}, FIRST.sign)
    vectors.admitted("100 KiB", lines, large)
    for name, body, reason in [
        ("by another key", token(jose, claims, SECOND.sign), "wrong_signature"),
        ("other claims", f"{head}.{b64url(compact({**claims, 'x': 1}))}.{signature}", "wrong_signature"),
        ("an unknown kid", token({**jose, "kid": "second"}, claims, SECOND.sign), "wrong_signature"),
        ("unsigned", token({"alg": "none"}, claims, lambda _: b""), "malformed_signature"),
        ("HS256", token({**jose, "alg": "HS256"}, claims, hs256(documents[url])), "malformed_signature"),
        ("crit", token({**jose, "crit": ["exp"]}, claims, FIRST.sign), "malformed_signature"),
        ("with an end that has come", token(jose, {**claims, "exp": NOW - 301}, FIRST.sign), "stale"),
        ("a line break behind it", good + "\n", "malformed_signature"),
        ("half of it", good[: len(good) // 2], "malformed_signature"),
        ("no body", "", "missing_signature"),
        ("JSON", "{}", "malformed_signature"),
    ]:
        vectors.refused(name, lines, body, reason)
    vectors.refused("as JSON", [JSON], good[: len(head)], "malformed_signature")
    vectors.refused("as text", [("content-type", "text/plain")], good, "unsupported_type")
    return vectors


TOPIC = "arn:aws:sns:eu-central-1:123456789012:orders"
SNS = "https://sns.eu-central-1.amazonaws.com/"
CERTIFICATE = SNS + "SimpleNotificationService-0123456789abcdef0123456789abcdef.pem"
NOTIFICATION = ["Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type"]
CONFIRMATION = ["Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"]


def iso(at: int) -> str:
    import datetime

    return datetime.datetime.fromtimestamp(at, datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.000Z")


def aws_sns():
    ended = CERTIFICATE.replace("0123", "ended-")
    documents = {CERTIFICATE: keys.AWS_CERTIFICATE, ended: keys.AWS_ENDED_CERTIFICATE, SNS + "no.pem": "hello"}
    vectors = Vectors("aws-sns", [], options={"topics": [TOPIC]}, published={"documents": documents})
    text = ("content-type", "text/plain; charset=UTF-8")

    def signed(message, signer=AWS, algorithm="sha256", names=None):
        of_type = NOTIFICATION if message["Type"] == "Notification" else CONFIRMATION
        names = [name for name in names or of_type if name in message]
        content = "".join(f"{name}\n{message[name]}\n" for name in names)
        return {**message, "Signature": b64(signer.sign(content.encode(), algorithm))}

    def written(message) -> str:
        return json.dumps(message, indent=2, ensure_ascii=False)

    base = {
        "Type": "Notification", "MessageId": "message-1", "TopicArn": TOPIC, "Subject": "Größe",
        "Message": '{"order": 1}\nand a line', "Timestamp": iso(NOW), "SignatureVersion": "2",
        "SigningCertURL": CERTIFICATE, "UnsubscribeURL": SNS + "?Action=Unsubscribe",
    }

    def admitted(name, message, event_type="Notification", lines=(text,), **others):
        vectors.admitted(name, lines, written(message), "message-1", event_type, **others)

    def refused(name, message, reason, lines=(text,), **others):
        body = message if isinstance(message, str) else written(message)
        vectors.refused(name, lines, body, reason, **others)

    def without(message, *names):
        return {name: value for name, value in message.items() if name not in names}

    good = signed(base)
    admitted("as sent", good)
    admitted("as JSON", good, lines=[JSON])
    admitted("without subject", signed(without(base, "Subject")))
    admitted("a subject that is null", {**signed(without(base, "Subject")), "Subject": None})
    admitted("as Lambda spells it", {**without(good, "SigningCertURL"), "SigningCertUrl": CERTIFICATE})
    admitted("an hour later", good, now=NOW + 3600)
    admitted("attributes are not covered", {**good, "MessageAttributes": {"a": {"Type": "String", "Value": "b"}}})
    version_1 = {"topics": [TOPIC], "signature_version": ["1"]}
    old = signed({**base, "SignatureVersion": "1"}, algorithm="sha1")
    admitted("version 1 where it is configured", old, options=version_1)
    refused("version 1 where it is not", old, "malformed_signature")
    refused("version 2 where 1 is configured", good, "malformed_signature", options=version_1)
    refused("version 3", {**good, "SignatureVersion": "3"}, "malformed_signature")
    refused("SHA-1 under the name of version 2", signed(base, algorithm="sha1"), "wrong_signature")
    confirm = {
        **without(base, "Subject", "UnsubscribeURL"), "Type": "SubscriptionConfirmation", "Token": "token1",
        "SubscribeURL": SNS + "?Action=ConfirmSubscription&TopicArn=" + TOPIC + "&Token=token1",
    }
    vectors.add("a confirmation is a question", [text], written(signed(confirm)), {"answered": ""})
    leaving = signed({**confirm, "Type": "UnsubscribeConfirmation"})
    admitted("an unsubscription is an event", leaving, "UnsubscribeConfirmation")
    away = signed({**confirm, "SubscribeURL": "https://evil.example/?Token=token1"})
    refused("a confirmation to elsewhere", away, "malformed_signature")
    refused("a confirmation whose token was changed", {**signed(confirm), "Token": "token2"}, "wrong_signature")
    as_notification = signed({**confirm, "Type": "SubscriptionConfirmation"}, names=NOTIFICATION)
    refused("a confirmation signed as a notification", as_notification, "wrong_signature")
    for name in ["Message", "MessageId", "Subject", "Type"]:
        value = "SubscriptionConfirmation" if name == "Type" else "other"
        changed = {**good, name: value, **({"SubscribeURL": SNS, "Token": "t"} if name == "Type" else {})}
        refused(f"another {name}", changed, "wrong_signature")
    refused("another time", {**good, "Timestamp": iso(NOW + 1)}, "wrong_signature")
    refused("a subject more", {**signed(without(base, "Subject")), "Subject": "x"}, "wrong_signature")
    refused("a subject less", without(good, "Subject"), "wrong_signature")
    refused("another topic", signed({**base, "TopicArn": TOPIC + "2"}), "wrong_signature")
    refused("by another key", signed(base, FIRST), "wrong_signature")
    refused("later than an hour", good, "stale", now=NOW + 3601)
    refused("early", good, "from_the_future", now=NOW - 301)
    for name in ["Signature", "SignatureVersion", "SigningCertURL", "TopicArn", "Type", "Timestamp", "Message"]:
        refused(f"no {name}", without(good, name), "missing_signature")
    refused("an empty signature", {**good, "Signature": ""}, "missing_signature")
    refused("half a signature", {**good, "Signature": good["Signature"][:100]}, "wrong_signature")
    refused("a signature that is none", {**good, "Signature": "!"}, "malformed_signature")
    refused("two certificates", {**good, "SigningCertUrl": CERTIFICATE}, "ambiguous_signature")
    refused("a field twice", written(good)[:-2] + ',\n  "Message": "other"\n}', "malformed_signature")
    refused("not JSON", "hello", "malformed_signature")
    refused("no body", "", "malformed_signature")
    for name, url in [
        ("elsewhere", "https://evil.example/SimpleNotificationService-0.pem"),
        ("in a bucket", "https://sns.s3-eu-west-1.amazonaws.com/SimpleNotificationService-0.pem"),
        ("of another region", CERTIFICATE.replace("eu-central-1", "us-east-1")),
        ("without TLS", CERTIFICATE.replace("https", "http")),
        ("at a port", CERTIFICATE.replace(".com/", ".com:8443/")),
        ("with a user", CERTIFICATE.replace("https://", "https://a@")),
        ("with a query", CERTIFICATE + "?x=.pem"),
        ("that is none", SNS + "SimpleNotificationService-0.txt"),
    ]:
        refused(f"a certificate {name}", {**good, "SigningCertURL": url}, "malformed_signature")
    refused("a certificate that is not there", signed({**base, "SigningCertURL": SNS + "x.pem"}), "wrong_signature")
    refused("a certificate that has ended", signed({**base, "SigningCertURL": ended}), "wrong_signature")
    refused("a certificate that is no certificate", signed({**base, "SigningCertURL": SNS + "no.pem"}), "wrong_signature")
    return vectors


def paypal():
    start = "https://api.paypal.com/v1/notifications/certs/"
    chain = {
        "CERT-1": keys.PAYPAL_CERTIFICATE + keys.BETWEEN_CERTIFICATE,
        "CERT-2": keys.PAYPAL_SELF_CERTIFICATE,
        "CERT-3": keys.PAYPAL_ENDED_CERTIFICATE + keys.BETWEEN_CERTIFICATE,
        "CERT-4": keys.PAYPAL_ELSEWHERE_CERTIFICATE + keys.BETWEEN_CERTIFICATE,
        "CERT-5": keys.PAYPAL_CERTIFICATE,
        "CERT-6": keys.AUTHORITY_CERTIFICATE,
    }
    published = {
        "documents": {start + name: certificates for name, certificates in chain.items()},
        "authority": keys.AUTHORITY_CERTIFICATE,
    }
    webhook = "8PT597110X687430LKGECATA"
    vectors = Vectors("paypal", [], options={"webhook_id": [webhook]}, published=published)
    body = '{"id":"WH-1","event_type":"PAYMENT.CAPTURE.COMPLETED","amount":"42.00"}'

    def lines(body=body, *, id="transmission-1", at=NOW, url=start + "CERT-1", signer=PAYPAL, webhook=webhook, crc=None):
        time = iso(at)
        crc = zlib.crc32(body.encode()) if crc is None else crc
        signature = signer.sign(f"{id}|{time}|{webhook}|{crc}".encode())
        return [
            ("paypal-transmission-id", id),
            ("paypal-transmission-time", time),
            ("paypal-transmission-sig", b64(signature)),
            ("paypal-cert-url", url),
            ("paypal-auth-algo", "SHA256withRSA"),
            JSON,
        ]

    def changed(name, value):
        return [(header, value if header == name else before) for header, before in lines()]

    def admitted(name, lines, body=body, **others):
        vectors.admitted(name, lines, body, "transmission-1", "PAYMENT.CAPTURE.COMPLETED", **others)

    def refused(name, lines, reason, body=body, **others):
        vectors.refused(name, lines, body, reason, **others)

    admitted("as sent", lines())
    admitted("an hour later", lines(), now=NOW + 3600)
    # Stated, not wished for: a CRC is no digest. These two bodies have the same one; the identity is the transmission's.
    twin = same_crc(body, body.replace("42.00", "99.00"))
    assert zlib.crc32(twin.encode()) == zlib.crc32(body.encode())
    admitted("another body with the same CRC-32", lines(), twin)
    refused("another body", lines(), "wrong_signature", body.replace("42.00", "43.00"))
    refused("another transmission id", changed("paypal-transmission-id", "transmission-2"), "wrong_signature")
    refused("another time", changed("paypal-transmission-time", iso(NOW + 1)), "wrong_signature")
    refused("for another webhook", lines(webhook="OTHER"), "wrong_signature")
    refused("by another key", lines(signer=FIRST), "wrong_signature")
    refused("a signed CRC-32 that is negative", lines(crc=zlib.crc32(body.encode()) - 2**32), "wrong_signature")
    refused("a CRC-32 in hex", lines(crc=f"{zlib.crc32(body.encode()):x}"), "wrong_signature")
    refused("later than an hour", lines(), "stale", now=NOW + 3601)
    refused("early", lines(), "from_the_future", now=NOW - 301)
    good = lines()
    for index, (name, _) in enumerate(good[:-1]):
        refused(f"no {name}", good[:index] + good[index + 1 :], "missing_signature")
        refused(f"an empty {name}", changed(name, ""), "missing_signature")
        refused(f"{name} twice", [good[index], *good], "ambiguous_signature")
    refused("another algorithm", changed("paypal-auth-algo", "SHA1withRSA"), "malformed_signature")
    refused("half a signature", changed("paypal-transmission-sig", dict(good)["paypal-transmission-sig"][:100]), "wrong_signature")
    refused("a signature that is none", changed("paypal-transmission-sig", "!"), "malformed_signature")
    refused("an id with a bar", lines(id="a|b"), "malformed_signature")
    sandbox = start.replace("api.", "api.sandbox.") + "CERT-1"
    for name, url in [
        ("elsewhere", "https://evil.example/v1/notifications/certs/CERT-1"),
        ("of the sandbox", sandbox),
        ("without TLS", start.replace("https", "http") + "CERT-1"),
        ("of another kind", "https://api.paypal.com/v1/other/CERT-1"),
    ]:
        refused(f"a certificate {name}", lines(url=url), "malformed_signature")
    for name, url in [
        ("that vouches for itself", "CERT-2"),
        ("that has ended", "CERT-3"),
        ("of another name", "CERT-4"),
        ("without the chain to its authority", "CERT-5"),
        ("that is an authority's own", "CERT-6"),
        ("that is not there", "CERT-7"),
    ]:
        refused(f"a certificate {name}", lines(url=start + url), "wrong_signature")
    return vectors


def same_crc(original: str, other: str) -> str:
    """`other` with a field more, so that it has the CRC-32 of `original`: that is linear, so it takes no search."""
    wanted = zlib.crc32(original.encode())

    def made(bits):
        # 40 letters of which each is one of two: enough for 32 equations.
        letters = "".join("b" if bits >> index & 1 else "c" for index in range(40))
        return f'{other[:-1]},"x":"{letters}"}}'

    zero = zlib.crc32(made(0).encode())
    rows = [(zlib.crc32(made(1 << index).encode()) ^ zero, 1 << index) for index in range(40)]
    target, solution = zero ^ wanted, 0
    for bit in range(32):
        pivot = next((row for row in rows if row[0] >> bit & 1), None)
        if pivot is None:
            continue
        rows = [(row[0] ^ pivot[0], row[1] ^ pivot[1]) if row[0] >> bit & 1 else row for row in rows if row != pivot]
        if target >> bit & 1:
            target, solution = target ^ pivot[0], solution ^ pivot[1]
    assert target == 0
    return made(solution)


def all_vectors():
    return [
        livekit(), netlify(), fusionauth(), google_pubsub(), monday(), atlassian_connect(), plaid(), kinde(), aws_sns(),
        paypal(),
    ]
