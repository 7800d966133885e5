"""The embedded Valkey: starts, asks for its password, keeps what it was given, stops."""

import stat

import pytest
from kombu import Connection
from kombu.exceptions import OperationalError

from annotator.runtime import secrets, studio, valkey


@pytest.fixture
def var(tmp_path):
    return tmp_path / "var"


def url_of(var):
    return valkey.broker_url(var, secrets.load_or_create(var)["valkey_password"])


def client_of(url):
    return Connection(url, transport_options=valkey.CONNECT_ONCE).default_channel.client


def test_starts_and_stops(var):
    with studio.embedded_valkey(var) as process:
        assert valkey.answers(url_of(var))

    assert process.returncode == 0
    assert not valkey.answers(url_of(var))


def test_asks_for_the_password(var):
    with studio.embedded_valkey(var):
        assert not valkey.answers(valkey.broker_url(var, "guess"))
        with pytest.raises(OperationalError, match=r"(?i)auth"):
            client_of(f"redis+socket://{valkey.socket_path(var)}")


def test_listens_on_no_port_and_never_evicts(var):
    with studio.embedded_valkey(var):
        settings = client_of(url_of(var)).config_get("*")

    assert (settings["port"], settings["maxmemory-policy"], settings["appendonly"]) == ("0", "noeviction", "yes")


def test_socket_and_configuration_are_the_owners_alone(var):
    with studio.embedded_valkey(var):
        modes = [
            stat.S_IMODE(path.stat().st_mode) for path in (valkey.socket_path(var), var / "valkey" / "valkey.conf")
        ]

    assert modes == [0o700, 0o600]


def test_messages_survive_a_restart(var):
    with studio.embedded_valkey(var):
        client_of(url_of(var)).lpush("waiting", "run 7")

    with studio.embedded_valkey(var):
        assert client_of(url_of(var)).lrange("waiting", 0, -1) == [b"run 7"]


def test_server_left_by_a_killed_studio_is_replaced(var):
    with studio.embedded_valkey(var) as left, studio.embedded_valkey(var) as fresh:
        assert left.wait(timeout=60) == 0
        assert fresh.poll() is None
        assert valkey.answers(url_of(var))


def test_long_folder_gets_a_short_socket(tmp_path):
    deep = tmp_path.joinpath(*["a-rather-long-folder-name"] * 5)

    assert len(str(valkey.socket_path(deep))) <= valkey.MAX_SOCKET_PATH
    with studio.embedded_valkey(deep):
        assert valkey.answers(url_of(deep))


def test_broken_configuration_is_reported(var, monkeypatch):
    monkeypatch.setattr(valkey, "CONFIG", "no-such-directive yes\n")

    with pytest.raises(RuntimeError, match="ended at start with status 1"), studio.embedded_valkey(var):
        pass


def test_two_studios_on_one_folder_are_refused(var):
    with studio.only_studio(var), pytest.raises(RuntimeError, match="already running"), studio.only_studio(var):
        pass
