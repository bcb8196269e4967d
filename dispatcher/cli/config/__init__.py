"""The configuration file `sidelight.toml` (docs/config-file.md)."""
