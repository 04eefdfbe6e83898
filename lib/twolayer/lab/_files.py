"""Files that are written in one piece."""

import os
import pathlib
import threading


def write(path, content):
    """Write texts or bytes: whoever reads, now or after a kill, finds all of it or none."""
    path = pathlib.Path(path)
    half = path.with_name(f"{path.name}.{os.getpid()}-{threading.get_ident()}.part")
    try:
        half.write_bytes(content.encode() if isinstance(content, str) else content)
        os.replace(half, path)
    except OSError:
        half.unlink(missing_ok=True)  # the disk is full, say
        raise
