"""One machine's findings for other programs: SARIF, JUnit XML, GitLab's report, OCSF, HTML."""
