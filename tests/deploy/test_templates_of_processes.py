"""ecs.yaml and machine.yaml beside compose.yaml and the chart: processes, settings, roles."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from sidelight.fleet.settings import Settings
from sidelight.model import STAGES
from tests.fixtures.cloudformation_templates import filled, resources, template
from tests.fixtures.iam_policies import DEPLOY
from workers.worker_command import KINDS

if TYPE_CHECKING:
    from pathlib import Path

COMPOSE: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"]
OVER: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.machine.yaml").read_text())["services"]
CHART = DEPLOY / "helm" / "sidelight"
VALUES: dict[str, Any] = yaml.safe_load((CHART / "values.yaml").read_text())
# The names that the templates have for compose's services; Flower is compose's alone.
SERVICES = {"serve": "metrics"}
PROCESSES = {"dispatcher", "worker-waiting", "worker-computing", "serve", "advisories"}
FLEET = {"dispatcher", "worker-waiting", "worker-computing", "worker-evaluating"}
# A task's role is the hub's. Of the others the machine's credentials are the role's.
NOT_OF_TASKS = {
    "SIDELIGHT_HUB_ROLE", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_ENDPOINT_URL",
    "SIDELIGHT_MIRRORS", "SIDELIGHT_ADVISORY_SOURCES",
}  # fmt: skip
ROLE, READER_ROLE = "${ScannerRoleArn}", "${ReaderScannerRoleArn}"


def containers(**conditions: bool) -> dict[str, dict[str, Any]]:
    """Each task's container by its name, with the task as `task`."""
    tasks = [
        one["Properties"] for one in resources("ecs", **conditions).values()
        if one["Type"] == "AWS::ECS::TaskDefinition"
    ]  # fmt: skip
    return {
        one["Name"]: one | {"task": task} for task in tasks for one in task["ContainerDefinitions"]
    }


def variables(container: dict[str, Any]) -> set[str]:
    return {one["Name"] for one in (*container["Environment"], *container.get("Secrets", ()))}


def variables_of_chart(process: str) -> set[str]:
    if process == "advisories":
        return {"AWS_REGION", "SIDELIGHT_ADVISORIES"}
    helper = (CHART / "templates" / "_sidelight.tpl").read_text()
    secrets = VALUES["secretVariables"]
    own = secrets["serve"] if process == "serve" else secrets["fleet"]
    always = set(re.findall(r"\{name: ([A-Z_]+), value", helper))
    return always | set(VALUES["settings"]) | {*secrets["all"], *own}


def test_the_processes_are_those_of_the_compose_file_and_of_the_chart() -> None:
    assert containers().keys() == PROCESSES
    own = {name for name, one in COMPOSE.items() if name not in {"redis", "postgres"}}
    assert {SERVICES.get(name, name) for name in PROCESSES} == own - {"flower"}
    pools = {f"worker-{one['name']}" for one in VALUES["workers"]}
    assert {name for name in PROCESSES if name.startswith("worker")} == pools
    assert OVER.keys() == COMPOSE.keys()


@pytest.mark.parametrize("name", sorted(PROCESSES - {"advisories"}))
def test_a_process_has_the_command_and_the_check_of_its_service(name: str) -> None:
    service = COMPOSE[SERVICES.get(name, name)]
    container = containers()[name]
    assert container["Command"] == [str(part) for part in service["command"]]
    if "healthcheck" in service:
        expected = [part.replace("$$", "$") for part in service["healthcheck"]["test"]]
        assert container["HealthCheck"]["Command"] == expected
    assert (container["StopTimeout"], service["stop_grace_period"]) == (90, "90s")


@pytest.mark.parametrize("name", sorted(PROCESSES))
def test_a_process_has_the_settings_of_its_service_and_of_its_pod(name: str) -> None:
    found = variables(containers(WithWebhooks=True)[name])
    service = set(COMPOSE[SERVICES.get(name, name)]["environment"])
    # It is written into compose's address.
    assert service - found <= NOT_OF_TASKS | {"SIDELIGHT_WEBHOOK_SECRET"}
    assert variables_of_chart(name) <= found
    assert found - service - variables_of_chart(name) == set()
    Settings.from_environment({one: "1" for one in found if one.startswith("SIDELIGHT_OPEN")})
    known = {one for one in found if not one.startswith("AWS_")}
    assert known <= set(
        re.findall(r"`(SIDELIGHT_\w+)`", (DEPLOY.parent / "docs/settings.md").read_text())
    )


@pytest.mark.parametrize("apart", [False, True])
def test_the_workers_serve_every_queue_with_and_without_a_reader_apart(apart: bool) -> None:
    served: list[str] = []
    for name, container in containers(OwnReader=apart).items():
        if not name.startswith("worker"):
            continue
        _, _, kind, *options = container["Command"]
        chosen = [options[at + 1] for at, word in enumerate(options) if word == "--stage"]
        served += [stage for stage in KINDS[kind][0] if stage in chosen or not chosen]
    assert sorted(served) == sorted(STAGES)


def test_only_what_calls_aws_has_a_role_and_a_reader_apart_has_its_own_alone() -> None:
    roles = {name: one["task"].get("TaskRoleArn") for name, one in containers().items()}
    assert roles == {name: ROLE if name in FLEET else None for name in PROCESSES}
    apart = containers(OwnReader=True)
    roles = {name: one["task"].get("TaskRoleArn") for name, one in apart.items()}
    assert roles == {
        name: READER_ROLE if name == "worker-computing" else ROLE if name in FLEET else None
        for name in PROCESSES | FLEET
    }
    own = {one["Name"]: one["Value"] for one in apart["worker-computing"]["Environment"]}
    assert own["SIDELIGHT_ROLE_NAME"] == "${ReaderRoleName}"
    assert not own["SIDELIGHT_READER_ROLE_NAME"]


@pytest.mark.parametrize("name", sorted(PROCESSES | FLEET))
def test_a_task_is_sealed_and_takes_its_secrets_by_reference(name: str) -> None:
    container = containers(OwnReader=True, WithWebhooks=True)[name]
    assert container["User"] == "10001:10001"
    assert container["ReadonlyRootFilesystem"] is True
    assert container["LinuxParameters"]["Capabilities"] == {"Drop": ["ALL"]}
    mounts = {one["ContainerPath"]: one["ReadOnly"] for one in container["MountPoints"]}
    assert mounts == {"/tmp": False, "/advisories": name != "advisories"}  # noqa: S108 - the container's
    secrets = {one["Name"]: one["ValueFrom"] for one in container.get("Secrets", ())}
    assert secrets == {one: f"${{SecretArn}}:{one}::" for one in secrets}
    assert bool(secrets) == (name != "advisories")
    for secret in ("SIDELIGHT_EXTERNAL_ID", "SIDELIGHT_MESSAGE_KEYS"):
        assert (secret in secrets) == (name in FLEET)
    assert ("SIDELIGHT_ACCESS_SEAL" in secrets) == (name == "serve")
    plain = {one["Name"] for one in container["Environment"]}
    assert not any(word in one for one in plain for word in ("SECRET", "EXTERNAL", "SEAL", "STORE"))
    group = container["LogConfiguration"]["Options"]["awslogs-group"].strip("${}")
    template_resources = resources("ecs", OwnReader=True)[group]
    assert template_resources["Properties"]["LogGroupName"].endswith(f"/{name}")


def test_no_task_has_a_public_address_and_serve_alone_can_be_reached() -> None:
    template_resources = resources("ecs", OwnReader=True)
    services = {
        key: one["Properties"]
        for key, one in template_resources.items()
        if one["Type"] == "AWS::ECS::Service"
    }
    assert len(services) == len(PROCESSES | FLEET) - 1
    for key, one in services.items():
        network = one["NetworkConfiguration"]["AwsvpcConfiguration"]
        assert network["AssignPublicIp"] == "DISABLED"
        assert ("${ServeGroup}" in network["SecurityGroups"]) == (key == "ServeService")
    reached = {
        key for key, one in template_resources.items()
        if one["Type"] == "AWS::EC2::SecurityGroup" and "SecurityGroupIngress" in one["Properties"]
    }  # fmt: skip
    assert reached == {"ServeGroup", "FilesGroup"}


def test_the_templates_of_processes_give_sidelight_no_permission_of_their_own() -> None:
    """What Sidelight may do is scanner.yaml's, which `make iam` writes."""
    ecs = resources("ecs", OwnReader=True, ByCustomerKey=True)
    trusted = {
        key: one["Properties"]["AssumeRolePolicyDocument"]["Statement"][0]["Principal"]["Service"]
        for key, one in ecs.items() if one["Type"] == "AWS::IAM::Role"
    }  # fmt: skip
    assert trusted == {
        "Starter": "ecs-tasks.amazonaws.com",
        "UpdateRole": "scheduler.amazonaws.com",
    }
    assert not {"${Starter.Arn}", "${UpdateRole.Arn}"} & {
        one["task"].get("TaskRoleArn") for one in containers(OwnReader=True).values()
    }
    start = resources("machine")["Start"]["Properties"]["PolicyDocument"]["Statement"]
    services = {
        action.split(":")[0]
        for one in start
        for action in ([one["Action"]] if isinstance(one["Action"], str) else one["Action"])
    }
    assert services == {"ecr", "secretsmanager", "s3", "logs", "ssm", "ssmmessages"}


@pytest.mark.parametrize("service", ["ecs-tasks.amazonaws.com", "ec2.amazonaws.com"])
def test_the_scanners_role_trusts_the_tasks_of_its_own_account(service: str) -> None:
    assert service in template("scanner")["Parameters"]["TrustedService"]["AllowedValues"]
    role = resources("scanner", ByService=True, OfTasks=service.startswith("ecs"))["Role"]
    (trust,) = role["Properties"]["AssumeRolePolicyDocument"]["Statement"]
    assert trust["Principal"] == {"Service": "${TrustedService}"}
    expected = {"StringEquals": {"aws:SourceAccount": "${AWS::AccountId}"}}
    assert trust.get("Condition") == (expected if service.startswith("ecs") else None)


def test_on_a_machine_what_calls_aws_alone_reaches_its_credentials() -> None:
    for name, service in OVER.items():
        assert ("network_mode" in service) == (name in FLEET)
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", ()))
        assert service["logging"]["driver"] == "awslogs"
    template_resources = resources("machine")
    options = template_resources["Launch"]["Properties"]["LaunchTemplateData"]["MetadataOptions"]
    assert (options["HttpTokens"], options["HttpPutResponseHopLimit"]) == ("required", 1)
    assert "SecurityGroupIngress" not in template_resources["Group"]["Properties"]
    (disk,) = template_resources["Machine"]["Properties"]["BlockDeviceMappings"]
    assert (disk["Ebs"]["Encrypted"], disk["Ebs"]["DeleteOnTermination"]) == (True, False)


SECRET = {
    "REDIS_PASSWORD": "redisword", "POSTGRES_PASSWORD": "storeword",
    "SIDELIGHT_ACCESS_SEAL": "a+b/c=", "SIDELIGHT_MESSAGE_KEYS": "d+e/f=",
    "FLOWER_BASIC_AUTH": "admin:$HOME `id` \\x", "SIDELIGHT_EXTERNAL_ID": "id of $(us)",
}  # fmt: skip


def started(tmp_path: Path, secret: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """Run the machine's first start, in a folder, with stand-ins for what it installs and calls."""
    if shutil.which("jq") is None:
        pytest.skip("jq is not installed")
    parameters = template("machine")["Parameters"]
    values = {name: str(one.get("Default", "")) for name, one in parameters.items()} | {
        "AWS::Region": "eu-west-1", "Logs": "/sidelight/s", "SecretArn": "arn:secret",
        "Image": f"1.dkr.ecr.eu-west-1.amazonaws.com/sidelight@sha256:{'0' * 64}",
        "DeployArchive": "bucket/deploy.tar.gz", "DeploymentId": "production",
    }  # fmt: skip
    text = resources("machine")["Machine"]["Properties"]["UserData"]["Fn::Base64"]
    script = filled(text, values).replace("/opt/sidelight", str(tmp_path / "opt"))
    script = script.replace("/snap/bin", "/nowhere")
    tools = tmp_path / "bin"
    tools.mkdir()
    archive = tmp_path / "deploy.tar.gz"
    subprocess.run(["tar", "czf", archive, "-C", DEPLOY.parent, "deploy/compose.yaml",
                    "deploy/compose.machine.yaml", "deploy/redis"], check=True)  # fmt: skip
    (tmp_path / "secret.json").write_text(json.dumps(secret))
    log = tmp_path / "docker.log"
    stand_ins = {
        "aws": f'case "$1" in s3) cp {archive} "${{@: -1}}";;'
        f" secretsmanager) cat {tmp_path}/secret.json;; ecr) echo registry-login;; esac",
        "docker": f'echo "$@" >> {log}; [ "$1" != login ] || cat >> {log}',
        "apt-get": "", "snap": "", "chown": "",
    }  # fmt: skip
    for name, body in stand_ins.items():
        (tools / name).write_text(f"#!/bin/bash\n{body}\n")
        (tools / name).chmod(0o755)
    return subprocess.run(
        ["bash", "-c", script], capture_output=True, text=True, check=False,
        env={"PATH": f"{tools}:/usr/bin:/bin"},
    )  # fmt: skip


def test_a_machine_starts_compose_with_the_secrets_values_as_they_are(tmp_path: Path) -> None:
    done = started(tmp_path, SECRET)
    assert done.returncode == 0, done.stderr
    folder = tmp_path / "opt" / "deploy"
    environment = folder / ".env"
    assert environment.stat().st_mode & 0o777 == 0o600
    # Compose reads what is between single quotes as it is, and so does a shell.
    lines = [line.partition("=") for line in environment.read_text().splitlines()]
    values = {name: value.strip("'") for name, _, value in lines}
    assert {name: values[name] for name in SECRET} == SECRET
    needed = {
        match
        for path in ("compose.yaml", "compose.machine.yaml")
        for match in re.findall(r"\$\{([A-Z_]+):\?", (DEPLOY / path).read_text())
    }
    assert needed <= values.keys()
    assert "redisword" in (folder / "secrets" / "users.acl").read_text()
    assert "CHANGE-ME" not in (folder / "secrets" / "users.acl").read_text()
    login, entered, up = (tmp_path / "docker.log").read_text().splitlines()
    assert login.endswith("1.dkr.ecr.eu-west-1.amazonaws.com")
    assert entered == "registry-login"
    assert up == "compose -f compose.yaml -f compose.machine.yaml up --detach --no-build"


def test_a_machine_does_not_start_with_a_password_that_would_be_a_rule_of_redis(
    tmp_path: Path,
) -> None:
    done = started(tmp_path, SECRET | {"REDIS_PASSWORD": "x ~* +@all"})
    assert done.returncode != 0
    assert not (tmp_path / "docker.log").exists()
