"""The body of the weekly issue: what failed, by chapter and claim, and in which runs.

``python .github/weekly.py FOLDER`` reads what the runs left there: NAME.xml, pytest's report, empty
where a run ended before its tests; NAME.txt, the log of one without tests.
"""

import collections
import pathlib
import re
import sys
import xml.etree.ElementTree as xml

CLAIM = re.compile(r"^\s*does not hold: (.+)\n\s*(predicted .+)$", re.M)


def place(case):
    """A chapter by its name, anything else by its test."""
    name = case.get("classname", "").replace(".", "/")
    if name.endswith("/ipynb"):
        return name.removeprefix("book/").removesuffix("/ipynb")
    return f"{name}: {case.get('name')}"


def reasons(text):
    """The claims that do not hold, else the last line of an error."""
    text = re.sub(r"(\x1b|#x1B)\[[\d;]*m", "", text)
    claims = [f"{claim}: {numbers}" for claim, numbers in CLAIM.findall(text)]
    return claims or [line.strip() for line in text.splitlines() if line.strip()][-1:]


def failures(folder):
    """Pairs of place and reason, each with the runs in which it was seen."""
    found = collections.defaultdict(list)
    for file in sorted(folder.rglob("*.*")):
        text = file.read_text("utf-8", errors="replace")
        if file.suffix == ".txt":
            lines = text.strip().splitlines()[-30:]
            found[file.stem, "\n".join(lines)].append(file.stem)
        elif not text.strip():
            found["before the tests", "the run ended without a report"].append(file.stem)
        else:
            for case in xml.fromstring(text).iter("testcase"):
                for bad in [*case.findall("failure"), *case.findall("error")]:
                    for reason in reasons(f"{bad.get('message')}\n{bad.text or ''}"):
                        found[place(case), reason].append(file.stem)
    return found


def body(found, address):
    lines = [f"The weekly run failed: {address}"]
    last = None
    for (where, reason), runs in sorted(found.items()):
        if where != last:
            lines += ["", f"### {where}", ""]
            last = where
        quoted = reason.replace("`", "'").replace("\n", "\n      ")
        mark = f"\n\n      {quoted}\n" if "\n" in reason else f" `{quoted}`"
        lines.append(f"- {', '.join(dict.fromkeys(runs))}:{mark}")
    if not found:
        lines += ["", "No report names a test: see the run's log."]
    return "\n".join(lines)[:60_000] + "\n"


if __name__ == "__main__":
    print(body(failures(pathlib.Path(sys.argv[1])), *sys.argv[2:3] or [""]))
