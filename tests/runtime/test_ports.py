import socket

import pytest

from annotator.runtime import ports


@pytest.fixture
def taken():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield listener.getsockname()[1]


def test_another_port_is_chosen_when_the_first_is_taken(taken, monkeypatch):
    monkeypatch.setattr(ports, "FIRST_PORT", taken)
    monkeypatch.setattr(ports, "LAST_PORT", taken + 20)

    assert taken < ports.choose("127.0.0.1", None) <= taken + 20


def test_asked_for_port_that_is_taken_is_refused(taken):
    with pytest.raises(RuntimeError, match=f"Port {taken} .* is taken"):
        ports.choose("127.0.0.1", taken)


def test_no_free_port_is_said(taken, monkeypatch):
    monkeypatch.setattr(ports, "FIRST_PORT", taken)
    monkeypatch.setattr(ports, "LAST_PORT", taken)

    with pytest.raises(RuntimeError, match="Set PORT"):
        ports.choose("127.0.0.1", None)
