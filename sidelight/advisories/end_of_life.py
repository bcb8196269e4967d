"""When operating systems stop getting security updates, from their vendors' own announcements.

The day is the last on which anyone gets updates without paying for them: the end of Debian's LTS,
of Ubuntu's standard support, of Red Hat's maintenance phase, of SUSE's general support. A release
that is not listed is not said to be alive: it is simply not known here.
Sources: wiki.debian.org/LTS, ubuntu.com/about/release-cycle, access.redhat.com/support/policy,
wiki.almalinux.org/release-notes, wiki.rockylinux.org, aws.amazon.com/amazon-linux-2/faqs,
docs.aws.amazon.com/linux/al2023, suse.com/lifecycle, alpinelinux.org/releases,
docs.fedoraproject.org/releases, en.opensuse.org/Lifetime.
"""

from __future__ import annotations

from datetime import date

# By the database's name of the ecosystem (see ecosystems.of_machine), or by os-release's own id and
# major version where that is another system.
LAST_DAY: dict[str, date] = {
    "Debian:8": date(2020, 6, 30),
    "Debian:9": date(2022, 6, 30),
    "Debian:10": date(2024, 6, 30),
    "Debian:11": date(2026, 8, 31),
    "Debian:12": date(2028, 6, 30),
    "Debian:13": date(2030, 6, 30),
    "Ubuntu:14.04": date(2019, 4, 25),
    "Ubuntu:16.04": date(2021, 4, 30),
    "Ubuntu:18.04": date(2023, 5, 31),
    "Ubuntu:20.04": date(2025, 5, 31),
    "Ubuntu:22.04": date(2027, 6, 1),
    "Ubuntu:23.10": date(2024, 7, 11),
    "Ubuntu:24.04": date(2029, 5, 31),
    "Ubuntu:24.10": date(2025, 7, 10),
    # CentOS is matched as Red Hat, but ends by itself: 8 was ended early, 9 is Stream.
    "centos:6": date(2020, 11, 30),
    "centos:7": date(2024, 6, 30),
    "centos:8": date(2021, 12, 31),
    "centos:9": date(2027, 5, 31),
    "Red Hat:6": date(2020, 11, 30),
    "Red Hat:7": date(2024, 6, 30),
    "Red Hat:8": date(2029, 5, 31),
    "Red Hat:9": date(2032, 5, 31),
    "Red Hat:10": date(2035, 5, 31),
    "AlmaLinux:8": date(2029, 3, 1),
    "AlmaLinux:9": date(2032, 5, 31),
    "AlmaLinux:10": date(2035, 5, 31),
    "Rocky Linux:8": date(2029, 5, 31),
    "Rocky Linux:9": date(2032, 5, 31),
    "Rocky Linux:10": date(2035, 5, 31),
    "Amazon Linux:2": date(2026, 6, 30),
    "Amazon Linux:2018.03": date(2023, 12, 31),
    "Amazon Linux:2023": date(2029, 6, 30),
    "SUSE:15.0": date(2019, 12, 31),
    "SUSE:15.1": date(2021, 1, 31),
    "SUSE:15.2": date(2021, 12, 31),
    "SUSE:15.3": date(2022, 12, 31),
    "SUSE:15.4": date(2023, 12, 31),
    "SUSE:15.5": date(2024, 12, 31),
    "SUSE:15.6": date(2025, 12, 31),
    "SUSE:15.7": date(2031, 7, 31),
    "openSUSE:Leap 15.3": date(2022, 12, 31),
    "openSUSE:Leap 15.4": date(2023, 12, 7),
    "openSUSE:Leap 15.5": date(2024, 12, 31),
    "openSUSE:Leap 15.6": date(2026, 4, 30),
    "Alpine:v3.14": date(2023, 5, 1),
    "Alpine:v3.15": date(2023, 11, 1),
    "Alpine:v3.16": date(2024, 5, 23),
    "Alpine:v3.17": date(2024, 11, 22),
    "Alpine:v3.18": date(2025, 5, 9),
    "Alpine:v3.19": date(2025, 11, 1),
    "Alpine:v3.20": date(2026, 4, 1),
    "Alpine:v3.21": date(2026, 11, 1),
    "Alpine:v3.22": date(2027, 5, 1),
    "Fedora:38": date(2024, 5, 21),
    "Fedora:39": date(2024, 11, 26),
    "Fedora:40": date(2025, 5, 13),
}
