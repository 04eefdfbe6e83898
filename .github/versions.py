"""Put the released versions of the book below the newest, and a menu of all into each page.

``python .github/versions.py SITE RELEASES`` takes the built book and a folder with
``vX.Y.Z/offline-site.zip`` of each release. The last patch of each X.Y lies in SITE/vX.Y after it.
The menu is plain links, where the page's foot says its version: it needs no script and no network.
"""

import os
import pathlib
import re
import shutil
import sys
import tempfile
import zipfile

FOOT = re.compile(r'<p class="version">(.*?)</p>', re.S)
TAG = re.compile(r"v(\d+)\.(\d+)\.(\d+)")


def archives(releases):
    """The site of each minor version's last patch, by the name of its folder, newest first."""
    found = {}
    for archive in releases.glob("*/offline-site.zip"):
        if tag := TAG.fullmatch(archive.parent.name):
            *minor, patch = map(int, tag.groups())
            found.setdefault(tuple(minor), []).append((patch, archive))
    return {f"v{a}.{b}": max(found[a, b])[1] for a, b in sorted(found, reverse=True)}


def unpack(archive, folder):
    """The site that an archive holds, below its one folder."""
    with tempfile.TemporaryDirectory() as place, zipfile.ZipFile(archive) as packed:
        packed.extractall(place)
        (site,) = pathlib.Path(place).iterdir()
        shutil.move(site, folder)


def menu(page, here, versions):
    """Links from a page to the same page of each other version, else to its first page."""
    links = []
    for label, folder in versions.items():
        if folder == here:
            continue
        same = folder / page.relative_to(here)
        target = same if same.exists() else folder / "index.html"
        address = os.path.relpath(target, page.parent).replace(os.sep, "/")
        links.append(f'<a href="{address}">{label}</a>')
    return f'<p class="version">\\1; others: {", ".join(links)}</p>'


def link(site, names):
    """Write the menu into every page of every version."""
    versions = {"newest": site} | {name: site / name for name in names}
    for here in versions.values():
        for page in here.rglob("*.html"):
            if here == site and page.relative_to(site).parts[0] in names:
                continue
            text = page.read_text("utf-8")
            page.write_text(FOOT.sub(menu(page, here, versions), text), "utf-8")


def main(site, releases):
    found = archives(releases)
    for name, archive in found.items():
        unpack(archive, site / name)
    if found:
        link(site, list(found))


if __name__ == "__main__":
    main(*map(pathlib.Path, sys.argv[1:]))
