"""Associations of command documents: agents run the commands, and their output goes to a bucket.

An agent with a directory as its machine really runs a document's aws:runShellScript by /bin/sh,
which finds the directory in SIDELIGHT_ROOT; each other one has a canned output. Keys are as the SSM
agent makes them: `[prefix/]INSTANCE/ASSOCIATION/RUN/awsrunShellScript/STEP/stdout`.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import os
import re
import subprocess
from typing import TYPE_CHECKING, Any, Final

from moto.ssm.models import ssm_backends

from sidelight.inventory.collected.envelope import MAGIC, SECTIONS, VERSION
from sidelight.localcloud.messages import AwsError
from sidelight.localcloud.moto_clock import moto_time
from sidelight.localcloud.ssm.data_sync import bucket_of

if TYPE_CHECKING:
    from sidelight.localcloud.ssm.agents import AgentRegion, Association, LocalAgent

# A collector's output without packages (sidelight.inventory.collected.envelope).
_EMPTY: Final = (
    MAGIC
    + VERSION
    + b"\n"
    + b"".join(
        b"= " + name.encode() + b"\n" + base64.encodebytes(gzip.compress(data, mtime=0))
        for name, data in zip(SECTIONS, (b"", bytes(1024), b"", b"", b""), strict=True)
    )
)
NOTHING_FOUND: Final = _EMPTY + b"end " + hashlib.sha256(_EMPTY).hexdigest().encode() + b"\n"
TIMEOUT: Final = 600.0  # seconds
_PARAMETER: Final = re.compile(r"\{\{ ?([A-Za-z0-9]{1,64}) ?\}\}")


def check_document(place: AgentRegion, request: dict[str, Any]) -> None:
    """Raise AwsError for a document that does not exist, or parameters that it refuses.

    AWS's own documents are taken for granted.
    """
    name = request["Name"]
    if name.startswith(("AWS-", "AmazonInspector2-")):
        return
    known = content_of(place, name)
    if known is None:
        raise AwsError("InvalidDocument", f"Document with name {name} does not exist.")
    parameters = known.get("parameters", {})
    for key, values in request.get("Parameters", {}).items():
        pattern = parameters.get(key, {}).get("allowedPattern", "")
        if key not in parameters or not all(re.fullmatch(pattern, value) for value in values):
            raise AwsError("InvalidParameters", f"The parameter {key} is not valid.")


def content_of(place: AgentRegion, name: str) -> dict[str, Any] | None:
    """Return the content of a document's default version, None where there is none."""
    documents = ssm_backends[place.account][place.region]._documents.get(name)  # noqa: SLF001
    if documents is None:
        return None
    found: dict[str, Any] = json.loads(documents.get_default_version().content)
    return found


def run(place: AgentRegion, agent: LocalAgent, association: Association, number: str) -> None:
    """Run an association's document on an agent, and write what it prints."""
    description = association.description
    content = content_of(place, description["Name"])
    location = description.get("OutputLocation", {}).get("S3Location")
    if content is None or location is None:
        return
    for step in content.get("mainSteps", []):
        wanted = step.get("precondition", {}).get("StringEquals", ["", ""])[1]
        if wanted and wanted != agent.information.get("PlatformType"):
            continue
        output = _output(agent, content, step, description.get("Parameters", {}))
        backend = bucket_of(location["OutputS3BucketName"])
        if backend is None or not output:
            continue
        prefix = location.get("OutputS3KeyPrefix", "").strip("/")
        start = f"{prefix}/" if prefix else ""
        run_folder = f"{agent.instance_id}/{association.id}/{number}"
        key = f"{start}{run_folder}/awsrunShellScript/0.{step['name']}/stdout"
        written = backend.put_object(location["OutputS3BucketName"], key, output)
        written.last_modified = moto_time(place.now)


def _output(
    agent: LocalAgent,
    content: dict[str, Any],
    step: dict[str, Any],
    arguments: dict[str, list[str]],
) -> bytes:
    if agent.root is None:
        return NOTHING_FOUND if agent.output is None else agent.output
    values = {
        name: str(parameter.get("default", ""))
        for name, parameter in content.get("parameters", {}).items()
    }
    values |= {name: items[0] for name, items in arguments.items()}
    lines = "\n".join(step["inputs"]["runCommand"])
    script = _PARAMETER.sub(lambda match: values.get(match[1], match[0]), lines)
    environment = {"PATH": os.environ.get("PATH", ""), "SIDELIGHT_ROOT": str(agent.root)}
    done = subprocess.run(
        ["/bin/sh", "-c", script],
        capture_output=True,
        check=False,
        timeout=TIMEOUT,
        env=environment,
        stdin=subprocess.DEVNULL,
    )
    return done.stdout
