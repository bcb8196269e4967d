"""Sources of scans that create no snapshots: existing snapshots, and the stored inventory."""
