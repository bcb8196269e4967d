"""Publishers' files: found, unpacked, decoded and parsed into advisories."""
