"""Apply advisories to one package of one machine: affected or not, severity, remediation."""
