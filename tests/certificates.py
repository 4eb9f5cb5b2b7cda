"""Certificates for tests: an authority and what it signs, made by openssl as docs/several-machines.md has it."""

from __future__ import annotations

import subprocess
from pathlib import Path

__all__ = ["Authority", "make_pair"]

CURVE = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-noenc")


def openssl(*arguments: object) -> None:
    subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True)


def make_pair(folder: Path, name: str) -> tuple[str, str]:
    """A certificate that is its own authority's, and its key."""
    certificate, key = folder / f"{name}.crt", folder / f"{name}.key"
    names = "subjectAltName=DNS:localhost,IP:127.0.0.1"
    openssl(
        "req",
        "-x509",
        *CURVE,
        "-keyout",
        key,
        "-out",
        certificate,
        "-days",
        30,
        "-subj",
        f"/CN={name}",
        "-addext",
        names,
    )
    return str(certificate), str(key)


class Authority:
    """A cluster's own."""

    def __init__(self, folder: Path, name: str = "ca") -> None:
        self.folder = folder
        self.certificate, self._key = make_pair(folder, name)

    def sign(self, name: str) -> tuple[str, str, str]:
        """What a member gives as `cluster_ssl`."""
        certificate, key, request = (self.folder / f"{name}.{suffix}" for suffix in ("crt", "key", "csr"))
        openssl("req", "-new", *CURVE, "-keyout", key, "-out", request, "-subj", f"/CN={name}")
        openssl(
            *("x509", "-req", "-in", request, "-CA", self.certificate, "-CAkey", self._key),
            *("-CAcreateserial", "-out", certificate, "-days", 30),
        )
        return str(certificate), str(key), self.certificate
