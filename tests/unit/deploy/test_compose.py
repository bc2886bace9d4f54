"""compose.yaml without a Docker engine: what a part names is offered by another, in the engine's own reading of it."""

from __future__ import annotations

import re
import shlex
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import click
import pytest
from ruamel.yaml import YAML

from saga_engine.bootstrap.access import nats_users
from saga_engine.cli.app import saga
from saga_engine.cli.views.access import nats_fragment, password_variable
from saga_engine.configuration import load
from saga_engine.exposure import refuse_plain_text
from saga_engine.settings.settled import Settings

ROOT = Path(__file__).parents[3]
VARIABLE = re.compile(r"\$\{(\w+)(?::\?[^}]*)?\}")

Service = dict[str, Any]  # what YAML holds


def read(path: str) -> dict[str, Any]:
    return cast("dict[str, Any]", YAML(typ="safe").load((ROOT / path).read_text(encoding="utf-8")))


COMPOSE = read("compose.yaml")
SERVICES: dict[str, Service] = COMPOSE["services"]
OURS = sorted(name for name, service in SERVICES.items() if "build" in service)


@pytest.fixture(scope="module")
def secrets() -> dict[str, str]:
    """What deploy/make-env.sh prints."""
    printed = subprocess.run(
        ["sh", "deploy/make-env.sh"], cwd=ROOT, capture_output=True, text=True, check=True, timeout=60
    ).stdout
    return dict(line.split("=", 1) for line in printed.splitlines())


def environment(name: str, secrets: Mapping[str, str]) -> dict[str, str]:
    """The environment of a service, with its variables filled in."""
    given: dict[str, str] = SERVICES[name].get("environment", {})
    return {key: VARIABLE.sub(lambda found: secrets[found[1]], value) for key, value in given.items()}


@pytest.fixture
def settings(request: pytest.FixtureRequest, secrets: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Settings:
    """What a service's process reads from its environment and the project's config.yaml."""
    for key, value in environment(request.param, secrets).items():
        monkeypatch.setenv(key, value)
    return load(ROOT).settings


def parsed(command: click.Command, name: str, arguments: list[str], above: click.Context | None = None) -> str:
    """Read a command line to its end; the path of the command. Raises click's errors."""
    context = command.make_context(name, arguments, parent=above)
    if not isinstance(command, click.Group):
        return context.command_path
    found, chosen, left = command.resolve_command(context, [*context._protected_args, *context.args])
    assert chosen is not None
    return parsed(chosen, found or "", left, context)


def test_there_is_what_the_project_needs() -> None:
    paths = {name: parsed(saga, "saga", list(SERVICES[name]["command"])) for name in OURS}
    assert paths == {
        "setup": "saga setup",
        "orchestrator": "saga run",
        "worker-order": "saga run",
        "worker-payment": "saga run",
        "worker-review": "saga run",
        "projections": "saga run",
        "order-api": "saga api",
        "eventstore": "saga eventstore",
    }
    twice = {name for name, service in SERVICES.items() if service.get("deploy", {}).get("replicas") == 2}
    assert twice == {"orchestrator", "worker-order", "worker-payment", "worker-review"}
    assert {name for name in SERVICES if name.startswith("cockroach-")} == {
        *(f"cockroach-{number}" for number in (1, 2, 3)),
        "cockroach-init",
    }
    assert {f"nats-{number}" for number in (1, 2, 3)} < SERVICES.keys()


def test_a_command_line_that_does_not_exist_would_be_found() -> None:
    with pytest.raises(click.UsageError):
        parsed(saga, "saga", ["run", "--workers", "order"])


@pytest.mark.parametrize("settings", OURS, indirect=True)
def test_the_environment_of_each_process_is_a_configuration(settings: Settings) -> None:
    refuse_plain_text(settings)
    assert settings.nats.user is not None
    assert settings.nats.inbox_prefix == f"_INBOX_{settings.nats.user}"
    assert (settings.nats.provision, settings.nats.replicas) == (False, 3)
    assert settings.nats.url is not None
    servers = re.findall(r"nats://([\w-]+):4222", settings.nats.url.get_secret_value())
    assert servers == ["nats-1", "nats-2", "nats-3"]
    owned = [one.database for one in settings.participants.values()]
    owned += [one.database for one in settings.projections.values()]
    assert settings.eventstore is not None
    assert settings.eventstore.database is not None
    urls = [url.get_secret_value() for url in (settings.database, *owned, settings.eventstore.database)]
    assert len(set(urls)) == 6
    for url in urls:
        assert url.startswith("cockroachdb://root@cockroach-1,cockroach-2,cockroach-3:26257/")
        assert set(re.findall(r"cockroach-\d", url)) < SERVICES.keys()


def test_every_variable_is_one_that_the_script_makes_and_every_secret_is_used(secrets: Mapping[str, str]) -> None:
    wanted = set(VARIABLE.findall((ROOT / "compose.yaml").read_text(encoding="utf-8")))
    assert wanted == secrets.keys()
    assert all(re.fullmatch(r"s[0-9a-f]{48}", secret) for secret in secrets.values())
    assert len(set(secrets.values())) == len(secrets)


def test_no_secret_stands_in_the_file() -> None:
    for name in SERVICES:
        for key, value in SERVICES[name].get("environment", {}).items():
            if re.search("PASSWORD|TOKEN|SAGA_NATS_[A-Z]", key) or "cluster:" in value:
                assert VARIABLE.search(value), f"{name}: {key}"


def test_the_users_of_nats_are_those_of_the_project_and_the_servers_know_their_passwords(
    secrets: Mapping[str, str],
) -> None:
    users = nats_users(load(ROOT).settings)
    exported = "\n".join(nats_fragment(users)) + "\n"
    assert (ROOT / "deploy/saga-users.conf").read_text(encoding="utf-8") == exported, (
        "made anew with: saga auth export > deploy/saga-users.conf"
    )
    for number in (1, 2, 3):
        given = environment(f"nats-{number}", secrets)
        assert {password_variable(user): secrets[password_variable(user)] for user in users}.items() <= given.items()
        assert given["NATS_SERVER_NAME"] == f"nats-{number}"
    for name in OURS:
        given = environment(name, secrets)
        assert given["SAGA_NATS__PASSWORD"] == secrets[f"SAGA_NATS_{given['SAGA_NATS__USER'].upper()}"]


def test_the_configuration_of_nats_names_variables_that_its_containers_have(secrets: Mapping[str, str]) -> None:
    text = (ROOT / "deploy/nats.conf").read_text(encoding="utf-8")
    wanted = set(re.findall(r"\$(\w+)", text))
    for number in (1, 2, 3):
        given = environment(f"nats-{number}", secrets)
        assert wanted <= given.keys()
        assert [re.findall(r"@([\w-]+):(\d+)$", given[f"NATS_ROUTE_{other}"]) for other in (1, 2, 3)] == [
            [(f"nats-{other}", "6222")] for other in (1, 2, 3)
        ]
    for port in (4222, 6222, 8222):
        assert f"0.0.0.0:{port}" in text
    included = re.findall(r"include \./(\S+)", text)
    mounted = {mount.split(":")[1] for mount in SERVICES["nats-1"]["volumes"]}
    assert {f"/etc/nats/{name}" for name in included} <= mounted


def test_every_mounted_file_and_volume_is_there() -> None:
    for name, service in SERVICES.items():
        for mount in service.get("volumes", ()):
            source = mount.split(":")[0]
            there = (ROOT / source).is_file() if source.startswith("./") else source in COMPOSE["volumes"]
            assert there, f"{name}: {mount}"


def test_everybody_waits_for_services_that_can_come_to_that() -> None:
    for name, service in SERVICES.items():
        for other, wanted in service.get("depends_on", {}).items():
            condition, awaited = wanted["condition"], SERVICES[other]
            if condition == "service_healthy":
                assert "test" in awaited["healthcheck"], f"{name} waits for {other}"
            elif condition == "service_completed_successfully":
                assert awaited["restart"] == "on-failure", f"{name} waits for the end of {other}"
            else:
                assert condition == "service_started"


def test_prometheus_asks_where_metrics_are_served(secrets: Mapping[str, str]) -> None:
    jobs = {job["job_name"]: job for job in read("deploy/prometheus.yml")["scrape_configs"]}
    (found,) = jobs["saga"]["dns_sd_configs"]
    assert sorted(found["names"]) == [name for name in OURS if name != "setup"]
    for name in found["names"]:
        assert environment(name, secrets)["SAGA_METRICS"] == f"0.0.0.0:{found['port']}"
        assert f"http://127.0.0.1:{found['port']}/ready" in SERVICES[name]["healthcheck"]["test"][-1]
    (targets,) = (one["targets"] for one in jobs["cockroach"]["static_configs"])
    assert targets == [f"cockroach-{number}:8080" for number in (1, 2, 3)]


def test_traces_go_to_the_collector_and_from_there_to_zipkin(secrets: Mapping[str, str]) -> None:
    collector = read("deploy/otel-collector.yaml")
    for name in OURS:
        host, port = environment(name, secrets)["OTEL_EXPORTER_OTLP_ENDPOINT"].removeprefix("http://").split(":")
        assert host in SERVICES
        assert collector["receivers"]["otlp"]["protocols"]["http"]["endpoint"] == f"0.0.0.0:{port}"
    assert re.match(r"http://zipkin:9411/", collector["exporters"]["zipkin"]["endpoint"])
    assert collector["service"]["pipelines"]["traces"]["exporters"] == ["zipkin"]


def test_every_image_has_a_version_and_every_open_port_is_on_this_machine_alone() -> None:
    for name, service in SERVICES.items():
        if name not in OURS:
            assert re.fullmatch(r"[\w/-]+:v?\d+\.\d+\.\d+[\w.-]*", service["image"]), f"{name}: {service['image']}"
        for port in service.get("ports", ()):
            assert port.startswith("127.0.0.1:"), f"{name}: {port}"


def test_the_image_is_made_from_files_that_are_there_and_in_its_context() -> None:
    dockerfile = (ROOT / "deploy/Dockerfile").read_text(encoding="utf-8")
    kept = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    copied = [
        source for line in dockerfile.splitlines() if line.startswith("COPY ") for source in shlex.split(line)[1:-1]
    ]
    assert copied
    for source in copied:
        assert (ROOT / source).exists(), source
        assert f"!{source.removeprefix('./')}" in kept, source
    extras = re.search(r"saga_engine-\*\.whl\)\[([\w,]+)\]", dockerfile)
    assert extras is not None
    assert set(extras[1].split(",")) == {"api", "cockroachdb", "grpc", "otel", "uvloop"}
