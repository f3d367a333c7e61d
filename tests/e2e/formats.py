"""docs/SEALED-SECRETS.md carried out a second time, for tests/e2e: standard library and Debian's python3-cryptography.

usage: formats.py vectors FILE.md | seal KEYLINE SCOPE NS NAME KEY <plain | open PRIVATE SCOPE NS NAME KEY <value
       formats.py sops FILE.json IDENTITIES | atrest STORE ROOTKEY KEYPREFIX
"""
import base64
import hashlib
import hmac
import json
import os
import re
import sqlite3
import struct
import sys

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat


def public_of(private):
    return X25519PrivateKey.from_private_bytes(private).public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)


def shared_of(private, public):
    return X25519PrivateKey.from_private_bytes(private).exchange(X25519PublicKey.from_public_bytes(public))


def blake(size, message, key):
    return hashlib.blake2b(message, digest_size=size, key=key).digest()


# ---- XChaCha20-Poly1305: HChaCha20 makes the key, the IETF cipher does the rest

def hchacha20(key, nonce):
    s = list(struct.unpack("<16I", b"expand 32-byte k" + key + nonce))

    def quarter(a, b, c, d):
        for x, y, z, n in ((a, b, d, 16), (c, d, b, 12), (a, b, d, 8), (c, d, b, 7)):
            s[x] = (s[x] + s[y]) & 0xFFFFFFFF
            s[z] ^= s[x]
            s[z] = (s[z] << n | s[z] >> (32 - n)) & 0xFFFFFFFF

    for _ in range(10):
        for i in range(4):
            quarter(i, i + 4, i + 8, i + 12)
        for i in range(4):
            quarter(i, (i + 1) % 4 + 4, (i + 2) % 4 + 8, (i + 3) % 4 + 12)
    return struct.pack("<8I", *(s[:4] + s[12:]))


def xchacha(key, nonce):
    return ChaCha20Poly1305(hchacha20(key, nonce[:16])), bytes(4) + nonce[16:]


# ---- sealed values

SCOPES = {"strict": 1, "namespace": 2, "cluster": 3}


def sealed_key_id(public):
    return blake(32, public, b"plumb.dev/sealed/v1/id")[:8]


def sealed_parts(shared, ephemeral, recipient):
    part = [blake(64, b"plumb.dev/sealed/v1" + bytes([i]) + ephemeral + recipient, shared) for i in (0, 1)]
    return part[0][:32], part[0][32:56], part[1][:32]


def sealed_data(head, scope, namespace, name, key):
    names = ["" if scope == "cluster" else namespace, name if scope == "strict" else "", key]
    return head + b"".join(struct.pack(">I", len(n.encode())) + n.encode() for n in names)


def seal(keyline, scope, namespace, name, key, plain):
    recipient = base64.b64decode(keyline.split(":", 1)[1])
    ephemeral = os.urandom(32)
    share = public_of(ephemeral)
    cipher_key, nonce, tag_key = sealed_parts(shared_of(ephemeral, recipient), share, recipient)
    head = bytes([1, SCOPES[scope]]) + sealed_key_id(recipient) + share
    aead, iv = xchacha(cipher_key, nonce)
    body = head + aead.encrypt(iv, plain, sealed_data(head, scope, namespace, name, key))
    return base64.b64encode(body + blake(16, body, tag_key)).decode()


def open_sealed(private, scope, namespace, name, key, value):
    raw = base64.b64decode(value, validate=True)
    recipient = public_of(private)
    head, share, body, tag = raw[:42], raw[10:42], raw[42:-16], raw[-16:]
    assert raw[0] == 1 and raw[1] == SCOPES[scope] and raw[2:10] == sealed_key_id(recipient)
    cipher_key, nonce, tag_key = sealed_parts(shared_of(private, share), share, recipient)
    assert hmac.compare_digest(blake(16, raw[:-16], tag_key), tag)
    aead, iv = xchacha(cipher_key, nonce)
    return aead.decrypt(iv, body, sealed_data(head, scope, namespace, name, key))


# ---- sops, with an age identity

def hkdf(secret, salt, info):
    prk = hmac.new(salt or bytes(32), secret, "sha256").digest()
    return hmac.new(prk, info + b"\x01", "sha256").digest()


def bech32_data(text):
    digits = ["qpzry9x8gf2tvdw0s3jn54khce6mua7l".index(c) for c in text.lower().rsplit("1", 1)[1]][:-6]
    number = int("".join(format(d, "05b") for d in digits)[:256], 2)
    return number.to_bytes(32, "big")


def age_open(armored, identity):
    raw = base64.b64decode("".join(armored.strip().split("\n")[1:-1]))
    at = raw.index(b"\n--- ")
    head, payload = raw[:at + 4], raw[raw.index(b"\n", at + 1) + 1:]
    mac = raw[at + 5:raw.index(b"\n", at + 1)]
    for stanza in re.findall(rb"-> X25519 (\S+)\n(\S+)\n", raw[:at + 1]):
        share, body = (base64.b64decode(p + b"=" * (-len(p) % 4)) for p in stanza)
        key = hkdf(shared_of(identity, share), share + public_of(identity), b"age-encryption.org/v1/X25519")
        try:
            file_key = ChaCha20Poly1305(key).decrypt(bytes(12), body, None)
        except Exception:
            continue
        want = hmac.new(hkdf(file_key, b"", b"header"), head, "sha256").digest()
        assert base64.b64decode(mac + b"=") == want
        return ChaCha20Poly1305(hkdf(file_key, payload[:16], b"payload")).decrypt(bytes(11) + b"\x01", payload[16:], None)
    raise SystemExit("no identity opens it")


def sops_value(key, text, aad):
    m = re.match(r"ENC\[AES256_GCM,data:(.*),iv:(.*),tag:(.*),type:(\w+)\]", text)
    data, iv, tag = (base64.b64decode(p) for p in m.groups()[:3])
    return AESGCM(key).decrypt(iv, data + tag, aad.encode())


def sops_open(path, identities):
    doc = json.load(open(path))
    meta = doc.pop("sops")
    line = [i for i in open(identities).read().split("\n") if i.startswith("AGE-SECRET-KEY-1")][0]
    key = age_open(meta["age"][0]["enc"], bech32_data(line))
    digest = hashlib.sha512(hashlib.sha256(b"sops").digest() if meta.get("mac_only_encrypted") else b"")
    rule = meta.get("encrypted_regex")

    def walk(v, path):
        if isinstance(v, dict):
            return {k: walk(x, path + [k]) for k, x in v.items()}
        if isinstance(v, list):
            return [walk(x, path) for x in v]
        hit = any(re.search(rule, p) for p in path) if rule else not any(p.endswith("_unencrypted") for p in path)
        if v in ("", None):
            return v
        plain = sops_value(key, v, ":".join(path) + ":") if hit else str(v).encode()
        if hit or not meta.get("mac_only_encrypted"):
            digest.update(plain)
        return plain.decode()

    out = walk(doc, [])
    assert sops_value(key, meta["mac"], meta["lastmodified"]).decode() == digest.hexdigest().upper()
    return out


# ---- at rest

def at_rest(store, root_key, prefix):
    root = open(root_key, "rb").read()[:32]
    wrap, key_id = blake(32, b"plumb.dev/at-rest/v2/wrap\0", root), blake(32, b"plumb.dev/at-rest/v1/id\0", root)[:8]
    db = sqlite3.connect("file:%s?mode=ro" % store, uri=True)
    columns = [r[1] for r in db.execute("pragma table_info(object)")]
    n = 0
    for row in db.execute("select * from object"):
        row = dict(zip(columns, row))
        name, value = row["key"], row["value"]
        name = name if isinstance(name, bytes) else name.encode()
        value = value if isinstance(value, bytes) else value.encode()
        if not name.startswith(prefix.encode()):
            continue
        assert value[:4] == b"PLR\2" and value[4:12] == key_id, "not under this key"
        aead, iv = xchacha(wrap, value[12:36])
        aead, iv = xchacha(aead.decrypt(iv, value[36:84], value[:12]), value[84:108])
        print(name.decode(), aead.decrypt(iv, value[108:], value[:84] + name).decode())
        n += 1
    return n


def backup_open(raw, passphrase):
    from argon2.low_level import Type, hash_secret_raw
    passes, kib = struct.unpack(">II", raw[5:13])
    assert raw[:5] == b"PLKB\1"
    key = hash_secret_raw(passphrase, raw[13:29], passes, kib, 1, 32, Type.ID)
    aead, iv = xchacha(key, raw[29:53])
    return aead.decrypt(iv, raw[53:], raw[:53])


def vectors(text):
    value = re.search(r"## Test vector.*?\n    (\S+)\n", text, re.S).group(1)
    private = b"0123456789abcdef0123456789abcdef"
    assert open_sealed(private, "strict", "team", "db", "password", value) == b"correct horse"
    again = seal("plumb-seal-v1:" + base64.b64encode(public_of(private)).decode(), "cluster", "", "", "k", b"x")
    assert open_sealed(private, "cluster", "a", "b", "k", again) == b"x"
    try:
        import argon2  # noqa: F401
    except ImportError:
        print("no argon2: the backup's vector is not looked at")
        return
    backup = re.search(r"passphrase `correct horse`.*?\n    (\S+)\n", text, re.S).group(1)
    assert backup_open(base64.b64decode(backup), b"correct horse") == b'{"keys":[]}'


def main(argv):
    what = argv[0]
    if what == "vectors":
        vectors(open(argv[1]).read())
    elif what == "seal":
        print(seal(*argv[1:6], sys.stdin.buffer.read()))
    elif what == "open":
        sys.stdout.buffer.write(open_sealed(base64.b64decode(argv[1]), *argv[2:6], sys.stdin.read().strip()))
    elif what == "sops":
        print(json.dumps(sops_open(*argv[1:3])))
    elif what == "atrest":
        print(at_rest(*argv[1:4]), "rows")
    else:
        raise SystemExit(__doc__)


if __name__ == "__main__":
    main(sys.argv[1:])
