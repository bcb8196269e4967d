"""Documents of feeds, built of what a test varies."""

from __future__ import annotations

VECTOR = "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"


def oval(definition: str) -> bytes:
    return f"""<oval_definitions xmlns="http://oval.mitre.org/XMLSchema/oval-definitions-5">
<definitions><definition id="{definition}"><metadata><title>CVE-2023-0001 on Ubuntu</title>
<description>Bad. Update Instructions: do.</description>
<advisory><severity>Low</severity></advisory></metadata>
<criteria><criterion test_ref="t:1" comment="a package in jammy was vulnerable but has
been fixed (note: '1.0-1')."/><criterion test_ref="t:2" comment="b package in jammy is affected."/>
</criteria></definition></definitions><tests>
<linux_test id="t:1" comment="Does the 'a' package exist and is the version less than '1.0-1'?">
<state state_ref="s:1"/></linux_test>
<linux_test id="t:2" comment="Does the 'b' package exist?"/></tests><states>
<linux_state id="s:1"><evr operation="less than">0:1.0-1</evr></linux_state></states>
</oval_definitions>""".encode()
