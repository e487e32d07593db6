"""Fetching public data files over HTTP when the user asks for it.

From the first mirror that answers, checked, and put in place whole or not at all. Knows URLs, checksums and
folders; `mnist` says which.
"""

from __future__ import annotations

import hashlib
import http.client
import os
import tempfile
import urllib.error
import urllib.request
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path

from tinygrad_cnn.support.errors import DataError, OutputError

__all__ = ["fetch", "fetch_all"]

TIMEOUT = 30.0  # seconds without an answer or a byte
LIMIT = 256 << 20  # no file of ours is a tenth of it


def fetch_all(md5: Mapping[str, str], mirrors: Sequence[str], folder: Path) -> None:
    """Bring `name.gz` for every name in `md5` from one of `mirrors` into `folder`.

    The checksums are of the uncompressed content (the same data are served in different compressions), or of the
    `.gz` where that alone is published. Files that are complete stay when a later one fails, so that a second call
    goes on from there.
    Raises DataError when no mirror gives a file with the right content, OutputError when `folder` cannot be
    written.
    """
    for name, checksum in md5.items():
        fetch(f"{name}.gz", checksum, mirrors, folder)


def fetch(file: str, md5: str, mirrors: Sequence[str], folder: Path) -> None:
    """Bring the gzipped `file` with that checksum, of its content or of itself, from one of `mirrors` into `folder`.

    Raises DataError when no mirror gives it, OutputError when `folder` cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(
            f"cannot make the folder '{folder}' for the download: {error.strerror or error}"
        ) from error
    faults = []
    for mirror in mirrors:
        try:
            content = _get(mirror + file)
            got = hashlib.md5(content, usedforsecurity=False).hexdigest()
            if got != md5:
                got = hashlib.md5(_unzip(content), usedforsecurity=False).hexdigest()
        except (urllib.error.URLError, http.client.HTTPException, OSError, ValueError, zlib.error) as error:
            # A URLError is a wrapper around what went wrong; an HTTPError is itself that.
            cause = error if isinstance(error, urllib.error.HTTPError) else getattr(error, "reason", error)
            faults.append(f"{mirror}: {cause}")
            continue
        if got == md5:
            _put(content, folder / file)
            return
        faults.append(f"{mirror}: expected content with MD5 {md5}, got {got}")
    raise DataError(
        f"{file} could not be downloaded ({'; '.join(faults)}); check the network connection, or fetch the "
        f"file elsewhere and put it into '{folder}'"
    )


def _get(url: str) -> bytes:
    request = urllib.request.Request(url, headers={"User-Agent": "tinygrad-cnn"})
    with urllib.request.urlopen(request, timeout=TIMEOUT) as answer:
        content: bytes = answer.read(LIMIT + 1)
        promised = answer.headers.get("Content-Length")
    if len(content) > LIMIT:
        raise ValueError(f"expected a file of at most {LIMIT:,} bytes, got more")
    if promised is not None and len(content) != int(promised):
        raise ValueError(f"expected {int(promised):,} bytes, the connection closed after {len(content):,}")
    return content


def _unzip(content: bytes) -> bytes:
    """The first gzip member, at most LIMIT bytes of it: a small download must not fill the whole memory."""
    unpacker = zlib.decompressobj(wbits=31)
    plain = unpacker.decompress(content, LIMIT)
    if not unpacker.eof:
        raise ValueError("the compressed data are truncated or too large")
    return plain


def _put(content: bytes, path: Path) -> None:
    """Write beside, then rename: whoever looks sees no file or all of it, also after a kill."""
    try:
        handle, beside = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
        try:
            with os.fdopen(handle, "wb") as out:
                out.write(content)
            os.chmod(beside, 0o644)  # mkstemp makes it private
            os.replace(beside, path)
        except BaseException:
            os.unlink(beside)
            raise
    except OSError as error:
        raise OutputError(f"cannot write '{path}': {error.strerror or error}") from error
