"""The command groups: names and short texts as tables, so that help and completion import nothing.

A command's module is imported when the command runs: `sidelight ls` does not wait for Celery, and
`sidelight --help` for no module. A test compares each short text with the command's own.
"""

from __future__ import annotations

import importlib
from difflib import get_close_matches
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple, NoReturn

import click

from dispatcher.cli.quiet import add_quiet

if TYPE_CHECKING:
    from collections.abc import Mapping

    from click.shell_completion import CompletionItem


_MANUAL = "dispatcher.cli.manual."


class CommandEntry(NamedTuple):
    """A command: its module, its name there, and its short text in the group's `--help`."""

    module: str
    attribute: str
    short: str


class WrittenGroup(click.Group):
    """A group that has the commands of a table, in its order."""

    table: Mapping[str, CommandEntry]
    renamed: Mapping[str, str] = MappingProxyType({})  # former name -> name: refused, with a hint

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the commands' names."""
        del ctx
        return list(self.table)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import a command."""
        del ctx
        entry = self.table.get(cmd_name)
        if entry is None:
            return None
        command: click.Command = getattr(importlib.import_module(entry.module), entry.attribute)
        if not isinstance(command, click.Group) and not entry.module.startswith(_MANUAL):
            add_quiet(command)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Return the named command. Raises click.UsageError, with the nearest name."""
        if args and args[0] not in self.table and not args[0].startswith("-"):
            self._refuse(ctx, args[0])
        self.report_configuration(ctx, args[0] if args else "")
        return super().resolve_command(ctx, args)

    def report_configuration(self, ctx: click.Context, name: str) -> None:
        """Write what a file in the current directory sets for a command, once it has been read."""
        entry = self.table.get(name)
        # The commands of `sidelight` are resolved before the file is read; those of groups after.
        if entry is None or not ctx.meta or entry.module == __name__:
            return
        from dispatcher.cli.config.session import report_untrusted

        report_untrusted(ctx, (*ctx.command_path.split()[1:], name))

    def _refuse(self, ctx: click.Context, name: str) -> NoReturn:
        near = [self.renamed[name]] if name in self.renamed else self._near(name)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise click.UsageError(f"No such command {name!r}.{hint}", ctx)

    def _near(self, name: str) -> list[str]:
        """Return the most similar name of a command here, or that name in a group below."""
        below = [
            f"{word} {name}"
            for word, entry in self.table.items()
            if entry.module == __name__ and name in getattr(globals()[entry.attribute], "table", ())
        ]
        return below or get_close_matches(name, self.table, 1)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the commands' short texts."""
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl([(name, entry.short) for name, entry in self.table.items()])

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Return the commands and options with this prefix."""
        from click.shell_completion import CompletionItem

        names = [
            CompletionItem(name, help=entry.short)
            for name, entry in self.table.items()
            if name.startswith(incomplete)
        ]
        return names + click.Command.shell_complete(self, ctx, incomplete)


class FleetGroup(WrittenGroup):
    """The commands of `sidelight fleet`."""

    renamed = MappingProxyType({"tidy": "prune"})
    table: Mapping[str, CommandEntry] = {
        "scan": CommandEntry("dispatcher.cli.fleet.commands", "scan_fleet",
                      "Discover instances, scan the eligible ones, and wait for the results"),
        "coverage": CommandEntry("dispatcher.cli.fleet.commands", "coverage",
                          "List instances: whether and how each is scanned, and why not"),
        "findings": CommandEntry("dispatcher.cli.fleet.finding_commands", "findings",
                          "List findings, most severe first"),
        "sbom": CommandEntry("dispatcher.cli.fleet.finding_commands", "sbom",
                      "Write a bill of materials of each scanned instance"),
        "attack-paths": CommandEntry("dispatcher.cli.fleet.finding_commands", "attack_paths",
                              "List ways from an edge to a vulnerable package"),
        "plan": CommandEntry("dispatcher.cli.fleet.remediation_commands", "plan",
                      "List upgrades, those that close most first, with their commands"),
        "status": CommandEntry("dispatcher.cli.fleet.commands", "status",
                        "List scans: state, calls, blocks, seconds and dollars"),
        "enable": CommandEntry("dispatcher.cli.fleet.account_commands", "enable",
                        "Enable scanning of accounts, and set how they are scanned"),
        "disable": CommandEntry("dispatcher.cli.fleet.account_commands", "disable",
                         "Disable scanning of accounts, and remove what was created in them"),
        "configure": CommandEntry("dispatcher.cli.fleet.account_commands", "configure",
                           "Set how accounts are scanned, without enabling or disabling them"),
        "accounts": CommandEntry("dispatcher.cli.groups", "accounts",
                          "List accounts, and configure an organization"),
        "costs": CommandEntry("dispatcher.cli.fleet.commands", "fleet_costs",
                       "Sum what scanning cost: calls, bytes, seconds and dollars"),
        "events": CommandEntry("dispatcher.cli.fleet.finding_commands", "events",
                        "Print the events of findings, coverage and first scans"),
        "suppress": CommandEntry("dispatcher.cli.groups", "suppress",
                          "List, add and remove suppression rules and VEX documents"),
        "reevaluate": CommandEntry("dispatcher.cli.fleet.finding_commands", "reevaluate",
                            "Match stored inventories with a new advisory database"),
        "network": CommandEntry("dispatcher.cli.fleet.commands", "fleet_network",
                         "Evaluate the fleet's networks now, and store what can be reached"),
        "sweep": CommandEntry("dispatcher.cli.fleet.commands", "sweep_fleet",
                       "Delete Sidelight's snapshots that no live scan needs"),
        "prune": CommandEntry("dispatcher.cli.fleet.finding_commands", "prune",
                       "Delete expired scans, closed findings and old events"),
        "recount": CommandEntry("dispatcher.cli.fleet.remediation_commands", "recount",
                         "Count again what overviews show, from the stored findings"),
        "run": CommandEntry("dispatcher.cli.fleet.processes", "run",
                     "Run the dispatcher: discover, schedule, publish and sweep, until SIGTERM"),
        "worker": CommandEntry("dispatcher.cli.fleet.processes", "worker",
                        "Run a worker process, until SIGTERM"),
    }  # fmt: skip


class AdvisoriesGroup(WrittenGroup):
    """The commands of `sidelight advisories`."""

    table: Mapping[str, CommandEntry] = {
        "update": CommandEntry("dispatcher.cli.advisories.commands", "update",
                        "Download changed feeds, and build the advisory database where any"
                        " changed"),
        "bundle": CommandEntry("dispatcher.cli.advisories.commands", "bundle",
                        "Write the advisory database as a signed file, for `advisories update"
                        " --from`"),
        "fetch": CommandEntry("dispatcher.cli.advisories.commands", "fetch_feeds",
                       "Download feeds: the usual sources, or those named"),
        "build": CommandEntry("dispatcher.cli.advisories.commands", "build_database",
                       "Build the advisory database from feeds"),
        "info": CommandEntry("dispatcher.cli.advisories.commands", "info",
                      "Show what an advisory database contains"),
        "changes": CommandEntry("dispatcher.cli.advisories.commands", "changes",
                         "List the packages and vulnerabilities that a newer database changes"),
    }  # fmt: skip


class NetworkGroup(WrittenGroup):
    """The commands of `sidelight network`."""

    table: Mapping[str, CommandEntry] = {
        "explain": CommandEntry("dispatcher.cli.network.commands", "explain",
                         "Show the path of a packet hop by hop, or the control that stops it"),
        "scan": CommandEntry("dispatcher.cli.network.commands", "scan",
                      "List the ports of instances that can be reached from outside of their VPC"),
        "dump": CommandEntry("dispatcher.cli.network.commands", "dump",
                      "Save the describe answers of an account's network, for --from-dump"),
    }  # fmt: skip


class InspectorGroup(WrittenGroup):
    """The commands of `sidelight inspector`."""

    table: Mapping[str, CommandEntry] = {
        "compare": CommandEntry("dispatcher.cli.inspector.commands", "compare",
                         "Compare Inspector's findings and coverage with Sidelight's"),
    }  # fmt: skip


class Suppress(WrittenGroup):
    """The commands of `sidelight fleet suppress`."""

    table: Mapping[str, CommandEntry] = {
        "list": CommandEntry(
            "dispatcher.cli.fleet.suppress_commands", "show", "List the suppression rules"
        ),
        "add": CommandEntry(
            "dispatcher.cli.fleet.suppress_commands", "add", "Add or replace a suppression rule"
        ),
        "remove": CommandEntry(
            "dispatcher.cli.fleet.suppress_commands", "remove", "Remove suppression rules"
        ),
        "list-vex": CommandEntry(
            "dispatcher.cli.fleet.suppress_commands",
            "list_vex",
            "List the VEX documents that suppress findings",
        ),
        "add-vex": CommandEntry(
            "dispatcher.cli.fleet.suppress_commands",
            "add_vex",
            "Suppress the findings that VEX documents state to be not affected or fixed",
        ),
        "remove-vex": CommandEntry(
            "dispatcher.cli.fleet.suppress_commands",
            "remove_vex",
            "Remove VEX documents, each by its id or the name of its file",
        ),
    }


class Accounts(WrittenGroup):
    """The commands of `sidelight fleet accounts`."""

    table: Mapping[str, CommandEntry] = {
        "list": CommandEntry(
            "dispatcher.cli.fleet.account_commands", "show",
            "List accounts: status, scan mode and what they inherit",
        ),
        "delegate": CommandEntry(
            "dispatcher.cli.fleet.account_commands", "delegate",
            "Configure an organization: administrator, auto-enable and paths",
        ),
        "release": CommandEntry(
            "dispatcher.cli.fleet.account_commands", "release",
            "Remove an organization's configuration; its members keep what was set for them",
        ),
    }  # fmt: skip


class Access(WrittenGroup):
    """The commands of `sidelight access`."""

    table: Mapping[str, CommandEntry] = {
        "create": CommandEntry(
            "dispatcher.cli.access.commands", "create",
            "Issue an access key to a principal, and show its secret once",
        ),
        "list": CommandEntry(
            "dispatcher.cli.access.commands", "show",
            "List the access keys: principal, role, scope and last use",
        ),
        "revoke": CommandEntry(
            "dispatcher.cli.access.commands", "revoke",
            "Revoke access keys, from the next request on",
        ),
        "audit": CommandEntry(
            "dispatcher.cli.access.commands", "audit",
            "List who changed what over the API, and what was refused",
        ),
        "user": CommandEntry("dispatcher.cli.groups", "user",
            "Create, list and revoke the people who sign in to the console"),
    }  # fmt: skip


class AccessUser(WrittenGroup):
    """The commands of `sidelight access user`."""

    table: Mapping[str, CommandEntry] = {
        "create": CommandEntry("dispatcher.cli.access.user_commands", "create",
            "Create a user of the console"),
        "list": CommandEntry("dispatcher.cli.access.user_commands", "show",
            "List the users of the console: role, scope and last sign-in"),
        "password": CommandEntry("dispatcher.cli.access.user_commands", "password",
            "Set a user's password, and end the user's sessions"),
        "revoke": CommandEntry("dispatcher.cli.access.user_commands", "revoke",
            "Revoke a user of the console, and end the user's sessions"),
        "reactivate": CommandEntry("dispatcher.cli.access.user_commands", "reactivate",
            "Reactivate a revoked user of the console"),
    }  # fmt: skip


class Local(WrittenGroup):
    """The commands of `sidelight local`."""

    table: Mapping[str, CommandEntry] = {
        "up": CommandEntry("dispatcher.cli.local", "up",
                    "Serve a local AWS on loopback until interrupted"),
    }  # fmt: skip


@click.group(cls=FleetGroup)
def fleet() -> None:
    """Scan a fleet of EC2 instances, and show what was found.

    Settings come from SIDELIGHT_ variables in the environment (docs/settings.md). The store is
    sqlite:///sidelight.db, in the current directory, unless --store or SIDELIGHT_STORE_URL names
    another.
    """


@click.group(cls=AdvisoriesGroup)
def advisories() -> None:
    """Download feeds, and build, update and inspect the advisory database."""


@click.group(cls=NetworkGroup)
def network() -> None:
    """Show which ports of which instances can be reached, from where, and why."""


@click.group(cls=InspectorGroup)
def inspector() -> None:
    """Compare Amazon Inspector with Sidelight, before you rely on one of them."""


@click.group(cls=Suppress)
def suppress() -> None:
    """List, add and remove suppression rules and VEX documents.

    A rule or a document suppresses present and future findings. They still close when they are
    fixed.
    """


@click.group(cls=Accounts)
def accounts() -> None:
    """List accounts, and configure an organization."""


@click.group(cls=Access)
def access() -> None:
    """Issue, list and revoke the API's access keys, and show its audit log."""


@click.group(cls=AccessUser)
def user() -> None:
    """Create, list and revoke the people who sign in to the console."""


@click.group(cls=Local)
def local() -> None:
    """Run a local cloud, to try Sidelight without an AWS account."""
