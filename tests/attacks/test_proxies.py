"""Whatever the environment says of proxies and certificates, the app starts; the network's part of it is a sentence."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from huggingface_hub.utils import close_session

import cli
from pipeline.deploy.hub import DeployConfig, deploy
from pipeline.errors import BackboneError, DeployError
from pipeline.model.backbones import check_known, create
from pipeline.stage import run
from pipeline.web.proxies import none_of_it, spare_loopback
from tests.support.apps import Server
from tests.support.paths import ROOT

SOCKS = {"ALL_PROXY": "socks5://127.0.0.1:9", "all_proxy": "socks5h://127.0.0.1:9"}
NO_CERTIFICATES = {"SSL_CERT_FILE": "/nowhere/at-all.pem", "SSL_CERT_DIR": "/nowhere"}
NO_ADDRESS = {"HTTP_PROXY": "http://[::1", "https_proxy": "no address", "ALL_PROXY": "gopher://127.0.0.1"}


class Proxy(ThreadingHTTPServer):
    """Answers 503 to everybody, and keeps what it was asked."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Refusing)
        self.asked: list[str] = []

    @property
    def environment(self) -> dict[str, str]:
        url = f"http://127.0.0.1:{self.server_port}"
        return {
            "HTTP_PROXY": url,
            "http_proxy": url,
            "HTTPS_PROXY": url,
            "https_proxy": url,
            "NO_PROXY": "",
            "no_proxy": "",
        }


class Refusing(BaseHTTPRequestHandler):
    def handle_one_request(self) -> None:
        line = self.rfile.readline(1000).decode(errors="replace").strip()
        self.server.asked.append(line)  # type: ignore[attr-defined]
        self.wfile.write(b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        self.close_connection = True


@pytest.fixture
def proxy() -> Iterator[Proxy]:
    with Proxy() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


def test_loopback_is_spared_beside_what_was_spared_before() -> None:
    environment = {"NO_PROXY": "example.org, localhost", "HTTP_PROXY": "x"}
    spare_loopback(environment)
    assert environment["no_proxy"] == environment["NO_PROXY"] == "example.org,localhost,127.0.0.1,::1"
    everything = {"no_proxy": "*"}
    spare_loopback(everything)
    assert everything == {"no_proxy": "*"}


def test_what_is_hidden_comes_back() -> None:
    environment = {"http_proxy": "a", "All_Proxy": "b", "SSL_CERT_FILE": "c", "HOME": "/"}
    with pytest.raises(KeyError), none_of_it(environment):
        assert environment == {"HOME": "/"}
        raise KeyError
    assert environment == {"http_proxy": "a", "All_Proxy": "b", "SSL_CERT_FILE": "c", "HOME": "/"}


@pytest.mark.slow
def test_the_app_starts_and_asks_no_proxy(proxy: Proxy, tmp_path: Path) -> None:
    log = tmp_path / "log"
    odd = {**proxy.environment, **SOCKS, **NO_CERTIFICATES}
    with Server(ROOT, "--workspace", str(tmp_path / "ws"), environment=odd, log=log):
        assert "Traceback" not in log.read_text()
    assert proxy.asked == []


@pytest.mark.slow
def test_a_space_starts_and_asks_no_proxy(exported_space: object, proxy: Proxy, tmp_path: Path) -> None:
    log = tmp_path / "log"
    folder = Path(exported_space.folder)  # type: ignore[attr-defined]
    with Server(folder, environment={**proxy.environment, **SOCKS, **NO_CERTIFICATES}, log=log):
        assert "Traceback" not in log.read_text()
    assert proxy.asked == []


@pytest.fixture(params=["503", "socks", "certificates", "no address"])
def odd(request: pytest.FixtureRequest, proxy: Proxy, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    odd = {"503": proxy.environment, "socks": SOCKS, "certificates": NO_CERTIFICATES, "no address": NO_ADDRESS}
    for name, value in odd[request.param].items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("HF_HUB_OFFLINE")
    monkeypatch.setenv("HF_ENDPOINT", "http://hub.invalid")
    close_session()  # the hub's client reads the environment once
    yield str(request.param)
    close_session()


def one_line(said: str) -> None:
    assert said and "\n" not in said.strip() and "Traceback" not in said and len(said) < 700


def test_searching_says_so_in_a_line(odd: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for provider in ("openverse", "wikimedia"):
        words = ["search", str(tmp_path / "ws"), "--class", "bear", "--provider", provider, "--json"]
        assert cli.main(words) == 1
        told = capsys.readouterr()
        assert told.out == ""
        one_line(told.err.splitlines()[-1])
        assert "Traceback" not in told.err


def test_the_hub_says_so_in_a_line(odd: str, tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("---\nsdk: static\n---\n")
    (tmp_path / "index.html").write_text("<p>nothing")
    with pytest.raises(DeployError) as refused:
        run(deploy(DeployConfig(str(tmp_path), "ann/fruit"), "hf_" + "a" * 30))
    one_line(str(refused.value))


def test_weights_that_cannot_be_fetched_are_said_in_a_line_and_soon(odd: str) -> None:
    check_known("resnet10t")  # timm itself takes its time to be imported
    began = time.monotonic()
    with pytest.raises(BackboneError) as refused:
        create("resnet10t", 3)
    one_line(str(refused.value))
    assert time.monotonic() - began < 10
