"""Tokens that clients show, good and bad ones."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import logging
import os
import pickle
import time
from collections.abc import Callable
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from tidegate import Identity, JWTAuth
from tidegate.errors import ConfigurationError
from tidegate.protocols import Handshake

KEY = os.urandom(32).hex()
RSA = rsa.generate_private_key(65537, 2048)
EC = ec.generate_private_key(ec.SECP256R1())


def pem(key: Any) -> str:
    """The public key of a private one."""
    public = key.public_key()
    kind = serialization.PublicFormat.SubjectPublicKeyInfo
    return str(public.public_bytes(serialization.Encoding.PEM, kind).decode())


def token(key: Any = KEY, algorithm: str = "HS256", **claims: Any) -> str:
    return jwt.encode({"sub": "kim", **claims}, key, algorithm)


def handshake(query: str | None = None, cookie: str | None = None, **headers: str) -> Handshake:
    return Handshake(
        "/",
        {} if query is None else {"token": query},
        {name.replace("_", "-"): value for name, value in headers.items()},
        {} if cookie is None else {"token": cookie},
    )


def segment(value: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


def altered(good: str) -> str:
    head, payload, signature = good.split(".")
    claims = json.loads(base64.urlsafe_b64decode(payload + "=="))
    return f"{head}.{segment({**claims, 'sub': 'admin'})}.{signature}"


def test_its_sub_is_the_uid_and_its_claims_are_the_session() -> None:
    end = int(time.time()) + 60
    claims = {"sub": "kim", "name": "Kim", "roles": ["editor"], "exp": end}
    identity = JWTAuth(KEY, ["HS256"]).verify(jwt.encode(claims, KEY))
    assert identity == Identity("kim", claims, (), end)


def test_one_without_an_end_lasts_and_leeway_counts_at_the_end_too() -> None:
    assert JWTAuth(KEY, ["HS256"]).verify(token()) == Identity("kim", {"sub": "kim"})
    end = int(time.time()) - 10
    lenient = JWTAuth(KEY, ["HS256"], leeway=60).verify(token(exp=end))
    assert lenient is not None
    assert lenient.expires_at == end + 60


def unsigned(algorithm: Any, **claims: Any) -> str:
    return f"{segment({'alg': algorithm, 'typ': 'JWT'})}.{segment({'sub': 'kim', **claims})}."


@pytest.mark.parametrize(
    "make",
    [
        lambda: altered(token()),
        lambda: token()[:-1],
        lambda: token() + "A",
        lambda: token(key="another" * 10),
        lambda: token(exp=int(time.time()) - 1),
        lambda: token(nbf=int(time.time()) + 60),
        lambda: token(iat=int(time.time()) + 60),
        lambda: token(algorithm="HS512"),
        lambda: unsigned("none"),
        lambda: unsigned("None"),
        lambda: unsigned("HS256"),
        lambda: unsigned(["HS256"]),
        lambda: unsigned({}),
        lambda: token(aud="elsewhere"),
        lambda: jwt.encode({"name": "Kim"}, KEY),
        lambda: token(filler="x" * 20_000),
        lambda: "",
        lambda: ".",
        lambda: "..",
        lambda: "a.b.c",
        lambda: "kim",
        lambda: "\ud800",
        lambda: "ü.ü.ü",
        lambda: "." * 10_000,
        lambda: f"{'[' * 10_000}.a.b",
        lambda: "Bearer " + token(),
    ],
)
def test_a_token_that_is_not_right_is_nobodys(make: Callable[[], str]) -> None:
    assert JWTAuth(KEY, ["HS256"]).verify(make()) is None


@pytest.mark.parametrize("sub", ["", None, True, 1.5, ["kim"], {"a": 1}, "\ud800"])
def test_a_sub_is_a_text_or_a_whole_number(sub: Any) -> None:
    assert JWTAuth(KEY, ["HS256"]).verify(token(sub=sub)) is None
    number = JWTAuth(KEY, ["HS256"]).verify(token(sub=42))
    assert number is not None
    assert number.uid == 42


@pytest.mark.parametrize(
    "claims",
    [{"exp": "soon"}, {"exp": []}, {"exp": float("inf")}, {"exp": float("nan")}, {"exp": None}, {"nbf": {}},
     {"iat": float("inf")}, {"big": 2**64}, {"half": "\ud800"}],
)  # fmt: skip
def test_claims_that_can_not_be_kept_refuse_it(claims: dict[str, Any]) -> None:
    assert JWTAuth(KEY, ["HS256"]).verify(token(**claims)) is None


def test_claims_nested_too_deep_refuse_it() -> None:
    deep: list[Any] = []
    for _ in range(100):
        deep = [deep]
    assert JWTAuth(KEY, ["HS256"]).verify(token(deep=deep)) is None


def test_a_public_key_is_no_secret_to_sign_with() -> None:
    auth = JWTAuth(pem(RSA), ["RS256"])
    assert auth.verify(token(RSA, "RS256")) == Identity("kim", {"sub": "kim"})
    head, payload = segment({"alg": "HS256", "typ": "JWT"}), segment({"sub": "kim"})
    for secret in (pem(RSA), pem(RSA).strip()):
        signature = hmac.new(secret.encode(), f"{head}.{payload}".encode(), hashlib.sha256).digest()
        forged = f"{head}.{payload}.{base64.urlsafe_b64encode(signature).rstrip(b'=').decode()}"
        assert auth.verify(forged) is None
    assert auth.verify(token(EC, "ES256")) is None
    assert auth.verify(unsigned("none")) is None


@pytest.mark.parametrize(("key", "algorithm"), [(RSA, "RS256"), (RSA, "PS512"), (EC, "ES256")])
def test_keys_are_given_in_pem_or_as_objects(key: Any, algorithm: str) -> None:
    for given in (pem(key), pem(key).encode(), key.public_key(), key):
        assert JWTAuth(given, [algorithm]).verify(token(key, algorithm)) is not None


def test_audience_and_issuer_are_one_or_some() -> None:
    auth = JWTAuth(KEY, "HS256", audience=["push", "chat"], issuer="https://example.com")
    site = "https://example.com"
    assert auth.verify(token(aud="push", iss=site)) is not None
    assert auth.verify(token(aud=["other", "chat"], iss=site)) is not None
    for claims in ({}, {"aud": "push"}, {"iss": site}, {"aud": "other", "iss": site}, {"aud": "push", "iss": "x"}):
        assert auth.verify(token(**claims)) is None


# Where a token stands


def test_a_token_stands_where_it_is_looked_for() -> None:
    good = token()
    everywhere = JWTAuth(KEY, ["HS256"], cookie="token", subprotocol="jwt")
    for shown in (
        handshake(good),
        handshake(cookie=good),
        handshake(authorization=f"Bearer {good}"),
        handshake(authorization=f"bearer  {good} "),
        handshake(sec_websocket_protocol=f"chat, jwt, {good}"),
    ):
        assert everywhere(shown) is not None
        assert JWTAuth(KEY, ["HS256"], query=None, header=False, subprotocol="other")(shown) is None
    for nothing in (handshake(), handshake(""), handshake(authorization="Bearer"), handshake(authorization="Basic x"),
                    handshake(sec_websocket_protocol="jwt"), handshake(sec_websocket_protocol=good)):  # fmt: skip
        assert everywhere(nothing) is None


def test_of_several_the_most_deliberate_one_counts_also_where_it_is_wrong() -> None:
    auth = JWTAuth(KEY, ["HS256"], cookie="token", subprotocol="jwt")
    places = ["authorization", "sec_websocket_protocol", "query", "cookie"]

    def shown(names: dict[str, str]) -> Handshake:
        says = dict(names)
        if "authorization" in says:
            says["authorization"] = f"Bearer {says['authorization']}"
        if "sec_websocket_protocol" in says:
            says["sec_websocket_protocol"] = f"jwt, {says['sec_websocket_protocol']}"
        return handshake(**says)

    for at, first in enumerate(places[:-1]):
        later = {place: token(sub="later") for place in places[at + 1 :]}
        found = auth(shown({first: token(sub="first"), **later}))
        assert found is not None
        assert found.uid == "first"
        assert auth(shown({first: altered(token()), **later})) is None


def test_another_scheme_in_the_header_leaves_the_rest_to_be_looked_at() -> None:
    assert JWTAuth(KEY, ["HS256"])(handshake(token(), authorization="Basic a2ltOmtpbQ==")) is not None


# What it is made with


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"algorithms": []}, "name the algorithms"),
        ({"algorithms": ["none"]}, "'none' is no signature"),
        ({"algorithms": ["HS256", "NONE"]}, "'none' is no signature"),
        ({"algorithms": ["HS1"]}, "there is no algorithm 'HS1'; there are ES256"),
        ({"algorithms": ["HS256", "RS256"], "key": pem(RSA)}, "do not go together"),
        ({"algorithms": ["RS256"]}, "the key is none for RS256"),
        ({"algorithms": ["ES256"], "key": pem(RSA)}, "the key is none for ES256"),
        ({"algorithms": ["HS256"], "key": pem(RSA)}, "the key is none for HS256"),
        ({"algorithms": ["HS256"], "key": ""}, "the key is none for HS256"),
        ({"algorithms": ["HS256"], "key": None}, "the key is none for HS256"),
        ({"leeway": -1}, "leeway is -1"),
        ({"leeway": "5"}, "leeway is '5'"),
        ({"audience": []}, "audience and issuer"),
        ({"issuer": [1]}, "audience and issuer"),
        ({"query": None, "header": False}, "no token can be shown"),
    ],
)
def test_what_can_not_be_right_is_said_at_once(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        JWTAuth(**{"key": KEY, "algorithms": ["HS256"], **arguments})


def test_the_algorithms_are_required() -> None:
    with pytest.raises(TypeError):
        JWTAuth(KEY)  # type: ignore[call-arg]


def test_a_key_is_shown_nowhere(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG, "tidegate"):
        auth = JWTAuth(KEY, ["HS256"])
        shown = [repr(auth), str(auth)]
        bad = altered(token())
        auth.verify(bad)
        with pytest.raises(ConfigurationError) as failed:
            JWTAuth("wrong" + KEY, ["RS256"])
        shown += [str(failed.value), repr(failed.value.__cause__), caplog.text]
    assert "Signature verification failed" in caplog.text
    for text in shown:
        assert KEY not in text
        assert bad not in text


@pytest.mark.parametrize("key", [KEY, bytes.fromhex(KEY)], ids=["text", "bytes"])
def test_it_is_made_again_of_plain_values(key: str | bytes) -> None:
    auth = JWTAuth(key, ["HS256"], "push", ["a", "b"], leeway=5, query="t", cookie="c", header=False, subprotocol="jwt")
    plain = auth.plain()
    assert plain is not None
    again = JWTAuth.from_plain(json.loads(json.dumps(plain)))
    assert again.plain() == plain
    good = jwt.encode({"sub": "kim", "aud": "push", "iss": "a"}, key)
    for each in (again, pickle.loads(pickle.dumps(auth))):
        assert each.verify(good) == auth.verify(good) is not None
    assert JWTAuth(RSA.public_key(), ["RS256"]).plain() is None


def test_a_short_key_is_called_weak_and_works() -> None:
    auth = JWTAuth("secret", ["HS256"])
    assert auth.weakness is not None
    assert "6 bytes" in auth.weakness
    with pytest.warns(jwt.InsecureKeyLengthWarning):
        short = token("secret")
    assert auth.verify(short) is not None
    assert JWTAuth(KEY, ["HS256"]).weakness is None
