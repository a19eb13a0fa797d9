"""Signatures by ECDSA and RSA in plain Python. Slow, and not for keys that matter: its timing shows them."""

import base64
import hashlib
import hmac

# ECDSA on the curve P-256 (FIPS 186-4, D.1.2.3), with the nonces of RFC 6979 so that a signature is always the same.

PRIME = 2**256 - 2**224 + 2**192 + 2**96 - 1
ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
BASE = (
    0x6B17D1F2E12C4247F8BCE6E563A440F277037D812DEB33A0F4A13945D898C296,
    0x4FE342E2FE1A7F9B8EE7EB4A7C0F9E162BCE33576B315ECECBB6406837BF51F5,
)


def p256_add(a, b):
    if a is None or b is None:
        return a or b
    (ax, ay), (bx, by) = a, b
    if ax == bx and (ay + by) % PRIME == 0:
        return None
    if a == b:
        slope = 3 * (ax * ax - 1) * pow(2 * ay, -1, PRIME) % PRIME
    else:
        slope = (by - ay) * pow(bx - ax, -1, PRIME) % PRIME
    x = (slope * slope - ax - bx) % PRIME
    return x, (slope * (ax - x) - ay) % PRIME


def p256_times(number, point):
    result = None
    while number:
        if number & 1:
            result = p256_add(result, point)
        point = p256_add(point, point)
        number >>= 1
    return result


def p256_nonce(private: int, digest: bytes) -> int:
    """RFC 6979, section 3.2, with SHA-256."""

    def mac(key, *parts):
        return hmac.new(key, b"".join(parts), "sha256").digest()

    reduced = (int.from_bytes(digest, "big") % ORDER).to_bytes(32, "big")
    seed = private.to_bytes(32, "big") + reduced
    key, value = bytes(32), b"\1" * 32
    for separator in (b"\0", b"\1"):
        key = mac(key, value, separator, seed)
        value = mac(key, value)
    while True:
        value = mac(key, value)
        nonce = int.from_bytes(value, "big")
        if 0 < nonce < ORDER:
            return nonce
        key = mac(key, value, b"\0")
        value = mac(key, value)


def p256_sign(private: int, message: bytes) -> bytes:
    digest = hashlib.sha256(message).digest()
    nonce = p256_nonce(private, digest)
    r = p256_times(nonce, BASE)[0] % ORDER
    s = pow(nonce, -1, ORDER) * (int.from_bytes(digest, "big") + r * private) % ORDER
    return der_sequence(der_integer(r), der_integer(s))


def p256_public(private: int) -> bytes:
    """The public key as `SubjectPublicKeyInfo`."""
    x, y = p256_times(private, BASE)
    algorithm = bytes.fromhex("06072a8648ce3d020106082a8648ce3d030107")
    return der_sequence(der_sequence(algorithm), der_bits(b"\4" + x.to_bytes(32, "big") + y.to_bytes(32, "big")))


# RSA with PKCS #1 v1.5 (RFC 8017, section 8.2). The primes were searched once, each the first of its kind among numbers
# made of SHA-256 of a text; they are no secret.

EXPONENT = 65537
PRIMES = {
    1: (
        int(
            "d1ba16dfc778098cbe2257e5f78a47d7292630e6050be0cc8ca0de175d1155e80e6c57cde45e0e1396319b8f82c32f9be4f3"
            "50f150c3918d483cda9f2a875591d1257c0440919a09c294546a835687bb7afa525f4ec540cfa4f6c1c5f3ecb42370cc0ce1"
            "b7d1a274e956eb1a7d92eb44f4a996abb00b4439b1f59e96d7f2a9b1",
            16,
        ),
        int(
            "d1010b233beb8a9c9f22d7613f4c2976ee7e55e1c63e6914ed993f241d468824c3b5e9abf940e501431e7be383338406b91f"
            "d999f6f29f8a55c69f3dffa964e83d580f3527b25fc19180405975a2342a903cb77373ae9d6331372a2ed306f635a20ae6b7"
            "30ae9891992cc03ec5e5f2d7793a755f8c1d6aa29be22120e3a3a3e5",
            16,
        ),
    ),
    2: (
        int(
            "f1b38e9195281ec61ffe8d0d6760330157bfcd522db5fcadf203b6a4d3eb406cea182c893491278c05d481746a5de4a1b460"
            "fc9a38c714be76fdf9131a29364ab2fa3417a965e368f6f3a5fe286671e567d2d4886874bf672cebf414055eb760379f9c80"
            "fdffadf3adab1b2a14f4d5a3eac303d3ca01ddc425c51715df98ef7f",
            16,
        ),
        int(
            "cd3c111480b23c93039a8e5aba09e6660a5166bdb19848840104317af8ba753a0c75ef3d837616d82feab69b5fd7238cc22a"
            "28dde2d3df9d347bfba390fcd0f27c2f809e096ca5e0124209e15afcddbc8ac0c9c8585efb2b37c429e5dd386ff67e687fcb"
            "56fde2bc9688d90cf4ec21a8554328fb070fd13148c8d196368eb505",
            16,
        ),
    ),
}
# What precedes a digest: `DigestInfo` of the algorithm.
DIGEST_INFO = {
    "sha1": bytes.fromhex("3021300906052b0e03021a05000414"),
    "sha256": bytes.fromhex("3031300d060960864801650304020105000420"),
}


def rsa_sign(number: int, message: bytes, algorithm: str) -> bytes:
    p, q = PRIMES[number]
    modulus, private = p * q, pow(EXPONENT, -1, (p - 1) * (q - 1))
    info = DIGEST_INFO[algorithm] + hashlib.new(algorithm, message).digest()
    padded = b"\0\1" + b"\xff" * (256 - 3 - len(info)) + b"\0" + info
    return pow(int.from_bytes(padded, "big"), private, modulus).to_bytes(256, "big")


def rsa_public(number: int) -> bytes:
    """The public key as `SubjectPublicKeyInfo`."""
    p, q = PRIMES[number]
    algorithm = bytes.fromhex("06092a864886f70d0101010500")
    return der_sequence(der_sequence(algorithm), der_bits(der_sequence(der_integer(p * q), der_integer(EXPONENT))))


# DER, as far as it is needed.


def der(tag: int, content: bytes) -> bytes:
    length = len(content)
    if length < 128:
        return bytes([tag, length]) + content
    size = (length.bit_length() + 7) // 8
    return bytes([tag, 128 | size]) + length.to_bytes(size, "big") + content


def der_sequence(*parts: bytes) -> bytes:
    return der(0x30, b"".join(parts))


def der_integer(number: int) -> bytes:
    return der(0x02, number.to_bytes(number.bit_length() // 8 + 1, "big"))


def der_bits(content: bytes) -> bytes:
    return der(0x03, b"\0" + content)


def pem(spki: bytes) -> str:
    text = base64.b64encode(spki).decode()
    lines = [text[at : at + 64] for at in range(0, len(text), 64)]
    return "\n".join(["-----BEGIN PUBLIC KEY-----", *lines, "-----END PUBLIC KEY-----", ""])
