"""Settings come from the environment, each by its name."""

from __future__ import annotations

from pathlib import Path

import pytest

from sidelight.errors import UsageError
from sidelight.fleet.settings import Settings, reference
from sidelight.fleet.settings.definition import Definition, Kind
from sidelight.fleet.settings.settings import DEFINITIONS
from sidelight.fleet.settings.validation import validate
from sidelight.model import DEFAULT_PATHS


def test_an_empty_environment_gives_the_defaults() -> None:
    assert Settings.from_environment({}) == Settings()


def test_what_is_given_to_a_worker_is_what_it_reads() -> None:
    settings = Settings.of(
        broker_url="rediss://me@h:1/0", attempts=7, lease_seconds=1.5, regional_queues=True
    )
    assert Settings.from_environment(settings.as_environment()) == settings


@pytest.mark.parametrize("word", ["1", "true", "YES", "on"])
def test_a_switch_is_a_word(word: str) -> None:
    assert Settings.from_environment({"SIDELIGHT_REMOTE_CONTROL": word}).broker.remote_control


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("ATTEMPTS", "many"),
        ("LEASE_SECONDS", ""),
        ("REMOTE_CONTROL", "perhaps"),
        ("USD_PER_DAY", "-1"),
        ("USD_PER_DAY", "nan"),
        ("GET_PER_SECOND", "inf"),
        ("LEASE_SECONDS", "0"),
        ("ATTEMPTS", "0"),
        ("IN_FLIGHT", "0"),
    ],
)
def test_what_cannot_be_is_wrong_usage_with_the_variables_name(name: str, text: str) -> None:
    with pytest.raises(UsageError, match=f"SIDELIGHT_{name}: "):
        Settings.from_environment({f"SIDELIGHT_{name}": text})


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("SIDELIGHT_USD_PERDAY", "SIDELIGHT_USD_PER_DAY"),
        ("SIDELIGHT_STORE", "SIDELIGHT_STORE_URL"),
        ("SIDELIGHT_ADVISORY", "SIDELIGHT_ADVISORIES"),
        ("SIDELIGHT_", "docs/settings.md"),
    ],
)
def test_a_variable_that_nothing_reads_is_refused_with_the_nearest_name(
    name: str, near: str
) -> None:
    with pytest.raises(UsageError, match=f"^{name}: .*{near}"):
        Settings.from_environment({name: ""})


def test_what_kubernetes_says_of_services_is_no_setting() -> None:
    Settings.from_environment(
        {
            "SIDELIGHT_METRICS_SERVICE_HOST": "10.0.0.1",
            "SIDELIGHT_METRICS_SERVICE_PORT": "8417",
            "SIDELIGHT_METRICS_SERVICE_PORT_HTTP": "8417",
            "SIDELIGHT_METRICS_PORT": "tcp://10.0.0.1:8417",
            "SIDELIGHT_METRICS_PORT_8417_TCP_ADDR": "10.0.0.1",
            "SIDELIGHT_IMAGE": "sidelight",
            "SIDELIGHT_TEST_KILL": "3",
            "OTHER": "x",
        }
    )


def test_options_win_over_the_environment_and_that_over_defaults() -> None:
    environment = {"SIDELIGHT_CACHE_MIB": "512", "SIDELIGHT_IN_FLIGHT": "8"}
    settings = Settings.from_environment(environment, cache_mib=999, in_flight=None)
    assert (settings.reading.cache_mib, settings.reading.in_flight) == (999, 8)
    assert (
        Settings.from_environment({}, in_flight=None).reading.in_flight
        == Settings().reading.in_flight
    )


@pytest.mark.parametrize("word", ["off", "OFF", "0", "0.0"])
def test_the_cap_is_on_unless_it_is_turned_off(word: str) -> None:
    assert Settings().budget.usd_per_day > 0
    assert Settings.from_environment({"SIDELIGHT_USD_PER_DAY": word}).budget.usd_per_day == 0


@pytest.mark.parametrize(
    "url",
    ["foo", "", "http://h/0", "redis:/h", "redis://h:port/0", "redis://h:99999/0", "redis://h:0/0",
     "redis://h/abc", "redis:// h/0", "amqp://h", "sentinel://a:1/0;b:2", "postgresql://h/x"],
)  # fmt: skip
def test_a_url_that_cannot_be_a_brokers_is_refused(url: str) -> None:
    with pytest.raises(UsageError, match=r"SIDELIGHT_BROKER_URL: .*is not a broker's URL"):
        validate(Settings.of(broker_url=url))


@pytest.mark.parametrize(
    "url",
    ["redis://127.0.0.1:6379/0", "redis://", "rediss://u:p@h:6379/0?ssl_cert_reqs=required",
     "sentinel://:p@a:26379/0;sentinel://b:26379", "memory://", "redis://[::1]:6379/1"],
)  # fmt: skip
def test_the_urls_of_brokers_are_taken(url: str) -> None:
    validate(Settings.of(broker_url=url, sentinel_master="m"))


def test_a_refused_url_does_not_show_its_password() -> None:
    with pytest.raises(UsageError) as refused:
        validate(Settings.of(broker_url="redis://me:secret@h:port/0"))
    assert "secret" not in str(refused.value)


def test_the_page_of_settings_is_what_the_code_makes() -> None:
    page = Path(__file__).resolve().parents[2] / "docs" / "settings.md"
    assert page.read_bytes() == reference.page().encode(), "run `make docs`"


@pytest.mark.parametrize("definition", DEFINITIONS.values(), ids=DEFINITIONS)
def test_a_setting_has_a_meaning_a_reader_and_a_default_that_can_be_written(
    definition: Definition,
) -> None:
    assert definition.variable in reference.page()
    assert definition.meaning
    assert definition.readers
    assert definition.kind is Kind.SWITCH or definition.unit
    assert definition.parse(definition.format(definition.default)) == definition.default


def test_advisories_have_to_be_named() -> None:
    with pytest.raises(UsageError, match="SIDELIGHT_ADVISORIES"):
        _ = Settings().findings.advisories_path


def test_the_default_paths_of_deep_inspection_are_the_model_s() -> None:
    assert Settings.of().agents.deep_limits.paths == DEFAULT_PATHS
