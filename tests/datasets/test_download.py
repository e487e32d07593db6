"""The promises of download=True: nothing unasked, unchecked or half-written. The mirrors here are local."""

import functools
import gzip
import hashlib
import http.server
import socket
import threading

import numpy as np
import pytest

from tinygrad_cnn.datasets import MNIST, download
from tinygrad_cnn.datasets.idx import write_idx
from tinygrad_cnn.errors import DataError, OutputError


class Handler(http.server.SimpleHTTPRequestHandler):
    """A quiet file server that remembers what it was asked for."""

    asked: list[str] = []

    def do_GET(self):
        self.asked.append(self.path)
        if self.path.startswith("/cut/"):  # promises more than it sends
            self.send_response(200)
            self.send_header("Content-Length", "100000")
            self.end_headers()
            self.wfile.write(b"\x1f\x8b")
        else:
            super().do_GET()

    def log_message(self, *_):
        pass


@pytest.fixture
def server(tmp_path):
    """A mirror at /good/ with a tiny MNIST, and one at /bad/ whose files are something else."""
    site = tmp_path / "site"
    for name in ("good", "bad"):
        (site / name).mkdir(parents=True)
    for part, count in (("train", 20), ("t10k", 10)):
        write_idx(site / "good" / f"{part}-images-idx3-ubyte.gz", np.full((count, 28, 28), 7, np.uint8))
        write_idx(site / "good" / f"{part}-labels-idx1-ubyte.gz", (np.arange(count) % 10).astype(np.uint8))
    for path in (site / "good").iterdir():
        (site / "bad" / path.name).write_bytes(gzip.compress(b"something else"))
    Handler.asked = []
    httpd = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Handler, directory=str(site)))
    thread = threading.Thread(target=httpd.serve_forever, kwargs=dict(poll_interval=0.01))
    thread.start()
    yield site, f"http://127.0.0.1:{httpd.server_port}"
    httpd.shutdown()
    thread.join()
    httpd.server_close()


@pytest.fixture
def mnist(server, monkeypatch):
    """MNIST with the checksums of the tiny set, and a way to say which mirrors to ask."""
    site, address = server
    monkeypatch.setattr(MNIST, "md5", {
        path.name.removesuffix(".gz"): hashlib.md5(gzip.decompress(path.read_bytes())).hexdigest()
        for path in sorted((site / "good").iterdir())
    })  # fmt: skip
    monkeypatch.setattr(MNIST, "mirrors", (f"{address}/good/",))
    return lambda *mirrors: monkeypatch.setattr(MNIST, "mirrors", tuple(f"{address}/{m}/" for m in mirrors))


def test_download_fetches_into_torchvisions_layout_and_then_reads(mnist, tmp_path):
    root = tmp_path / "data"
    assert len(MNIST(root, download=True)) == 20
    files = sorted(path.name for path in (root / "MNIST" / "raw").iterdir())
    assert files == sorted(f"{name}.gz" for name in MNIST.files())
    assert len(MNIST(root, train=False)) == 10


def test_nothing_is_fetched_unasked_or_twice(mnist, tmp_path):
    with pytest.raises(DataError, match="or pass download=True"):
        MNIST(tmp_path)
    assert Handler.asked == []
    MNIST(tmp_path, download=True)
    MNIST(tmp_path, download=True)
    assert len(Handler.asked) == 4


def test_files_that_are_there_already_stay(mnist, server, tmp_path):
    write_idx(tmp_path / "train-images-idx3-ubyte", np.zeros((20, 28, 28), np.uint8))
    assert not MNIST(tmp_path, download=True).data.any()
    assert len(Handler.asked) == 3


@pytest.mark.parametrize("broken", ["bad", "none", "cut"])
def test_the_next_mirror_is_asked_when_one_fails(mnist, tmp_path, broken):
    mnist(broken, "good")
    assert len(MNIST(tmp_path, download=True)) == 20


@pytest.mark.parametrize(
    ("mirror", "reason"),
    [
        ("bad", "expected content with MD5 [0-9a-f]{32}, got [0-9a-f]{32}"),
        ("none", "HTTP Error 404: "),
        ("cut", "100,000|IncompleteRead"),
    ],
)
def test_when_no_mirror_gives_the_right_file_the_error_says_why_and_nothing_is_left(
    mnist, tmp_path, mirror, reason
):
    mnist(mirror)
    with pytest.raises(
        DataError, match=f"idx[13]-ubyte.gz could not be downloaded .*{reason}.* put it into '.*raw'"
    ):
        MNIST(tmp_path / "data", download=True)
    assert list((tmp_path / "data" / "MNIST" / "raw").iterdir()) == []


def test_offline_is_said_in_one_sentence(mnist, monkeypatch, tmp_path):
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        monkeypatch.setattr(MNIST, "mirrors", (f"http://127.0.0.1:{closed.getsockname()[1]}/",))
        with pytest.raises(
            DataError, match="could not be downloaded .*refused.*; check the network connection"
        ):
            MNIST(tmp_path, download=True)


def test_a_file_that_unpacks_into_more_than_the_limit_is_refused(mnist, monkeypatch, tmp_path):
    monkeypatch.setattr(download, "LIMIT", 10_000)
    with pytest.raises(DataError, match="truncated or too large"):
        MNIST(tmp_path, download=True)


def test_a_place_that_cannot_be_a_folder_is_named(mnist, tmp_path):
    (tmp_path / "MNIST").write_text("a file where the folder should be")
    with pytest.raises(OutputError, match="cannot make the folder '.*raw' for the download"):
        MNIST(tmp_path, download=True)
