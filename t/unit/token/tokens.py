#!/usr/bin/python3

# Copyright (C) The Optcache authors

"""Tokens by PyJWT, as those of tokens.pl, and "bad" ones that only differ in
how they are signed."""

import json

import jwt
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import (ec, ed25519, padding,
                                                       rsa)
from cryptography.hazmat.primitives.serialization import (Encoding,
                                                          PublicFormat)
from jwt.utils import base64url_encode

PAYLOAD = {'iss': 'https://issuer.example', 'sub': 'u-\u00e9',
           'exp': 4102444800, 'roles': ['a', 'b'], 'n': 1.5}


def line(kind, alg, keys, token):
    print(kind, alg, keys, token, sep='\t')


def pem(key):
    return key.public_key().public_bytes(
        Encoding.PEM, PublicFormat.SubjectPublicKeyInfo
    ).decode().replace('\n', '|')


def jwks(key, algorithm):
    """The public part, as PyJWT writes it."""

    jwk = json.loads(algorithm.to_jwk(key))
    jwk.pop('d', None)

    # of RSA it has the private parts first
    for name in ('p', 'q', 'dp', 'dq', 'qi', 'oth'):
        jwk.pop(name, None)

    jwk.pop('key_ops', None)

    return json.dumps({'keys': [jwk]})


def signed(alg, sign):
    """A token by a function of its input."""

    text = b'.'.join(
        base64url_encode(json.dumps(part).encode())
        for part in ({'alg': alg}, PAYLOAD))

    return (text + b'.' + base64url_encode(sign(text))).decode()


secret = bytes(range(1, 65))

for alg in ('HS256', 'HS384', 'HS512'):
    key = json.dumps({'kty': 'oct', 'k': base64url_encode(secret).decode()})

    line('good', alg, key, jwt.encode(PAYLOAD, secret, alg))
    line('bad', alg, key, jwt.encode(PAYLOAD, b'\0' + secret, alg))

rsa_key = rsa.generate_private_key(65537, 2048)

for alg in ('RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512'):
    token = jwt.encode(PAYLOAD, rsa_key, alg, headers={'kid': 'x'})
    line('good', alg, pem(rsa_key), token)
    line('good', alg, jwks(rsa_key, jwt.algorithms.RSAAlgorithm), token)

for alg, curve in (('ES256', ec.SECP256R1()), ('ES384', ec.SECP384R1()),
                   ('ES512', ec.SECP521R1())):
    key = ec.generate_private_key(curve)
    line('good', alg, pem(key), jwt.encode(PAYLOAD, key, alg))

key = ed25519.Ed25519PrivateKey.generate()
line('good', 'EdDSA', pem(key), jwt.encode(PAYLOAD, key, 'EdDSA'))
line('good', 'EdDSA', jwks(key, jwt.algorithms.OKPAlgorithm),
     jwt.encode(PAYLOAD, key, 'EdDSA'))
line('good', 'Ed25519', pem(key), signed('Ed25519', key.sign))


# RFC 7518, 3.5: the salt is as long as the hash, the same for MGF1

def pss(digest, mgf, salt):
    return lambda text: rsa_key.sign(
        text, padding.PSS(padding.MGF1(mgf), salt), digest)


sha1, sha256, sha512 = hashes.SHA1(), hashes.SHA256(), hashes.SHA512()

line('good', 'PS256', pem(rsa_key), signed('PS256', pss(sha256, sha256, 32)))

for wrong in (pss(sha256, sha256, 0), pss(sha256, sha256, 31),
              pss(sha256, sha256, 33), pss(sha256, sha256, 222),
              pss(sha256, sha1, 32), pss(sha256, sha512, 32),
              pss(sha512, sha512, 32), pss(sha512, sha512, 64)):
    line('bad', 'PS256', pem(rsa_key), signed('PS256', wrong))

for wrong in (pss(sha256, sha256, 32),
              lambda text: rsa_key.sign(text, padding.PKCS1v15(), sha512),
              lambda text: rsa_key.sign(text, padding.PKCS1v15(), sha1)):
    line('bad', 'RS256', pem(rsa_key), signed('RS256', wrong))


# a signature of RSA has one form: neither without its leading zero, nor with
# one more, nor with the modulus added

n = rsa_key.public_key().public_numbers().n

for alg, pad in (('RS256', padding.PKCS1v15()),
                 ('PS256', padding.PSS(padding.MGF1(sha256), 32))):

    seen = set()

    for i in range(3000):
        text = b'.'.join(
            base64url_encode(json.dumps(part).encode())
            for part in ({'alg': alg}, {'i': i}))
        raw = rsa_key.sign(text, pad, sha256)
        head = text.decode() + '.'

        if i == 0:
            line('bad', alg, pem(rsa_key),
                 head + base64url_encode(b'\0' + raw).decode())

        if raw[0] == 0 and 'zero' not in seen:
            seen.add('zero')
            line('good', alg, pem(rsa_key),
                 head + base64url_encode(raw).decode())
            line('bad', alg, pem(rsa_key),
                 head + base64url_encode(raw[1:]).decode())

        more = int.from_bytes(raw, 'big') + n

        if more < 1 << 2048 and 'more' not in seen:
            seen.add('more')
            line('bad', alg, pem(rsa_key),
                 head + base64url_encode(more.to_bytes(256, 'big')).decode())

        if len(seen) == 2:
            break
