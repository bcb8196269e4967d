"""Walking XFS: our CPU time against other readers', on the same images in one run.

`python benchmarks/walk_xfs.py [--files 300000] [--image PATH]` makes the images by their recipes
where they are absent (see walks/images.py), then walks them with each reader in a process of its
own, once listing only and once with every inode read, and prints a table for each.
"""

from __future__ import annotations

from benchmarks.walks import images, table

READERS = ("sidelight", "dissect.xfs", "libfsxfs")


def main() -> None:
    """Build if needed, then a table an image."""
    chosen = table.arguments(__doc__)
    if chosen.image:
        table.show(chosen.image, READERS)
        return
    table.show(images.files("xfs", chosen.files), READERS)
    table.show(images.debian("xfs"), READERS)


if __name__ == "__main__":
    main()
