"""Grading beside `check`: a judge in a process of its own, which the answer can't touch.

The text of this file travels inside the graded tests, after that of ``twolayer.lab.exercises``. The
judge makes the cases and the right values; the student's process gets the cases, calls the answer
and sends back plain numbers; the judge says what is wrong with them.
"""

import copy
import json
import os
import pickle
import subprocess
import sys

import numpy as np


def collect(answer, cases, seconds):
    """What an answer gives in each case: ["value", numbers] or ["raised", class, words].

    After a call that takes too long the others are not tried.
    """
    found = []
    for case in cases:
        try:
            with _limit(seconds):  # noqa: F821 - of twolayer.lab.exercises
                got = answer(*copy.deepcopy(case))
            constants = getattr(getattr(answer, "__code__", None), "co_consts", ())
            if got is ... or (got is None and any(c is ... for c in constants)):
                found.append(["open"])
            elif got is None:
                found.append(["none"])
            else:
                found.append(["value", np.asarray(got, dtype=float).tolist()])
        except _Late:  # noqa: F821
            found += [["late"]] * (len(cases) - len(found))
            break
        except BaseException as error:  # also SystemExit: it costs this question only
            found.append(["raised", type(error).__name__, str(error)])
    return found


def replay(outputs):
    """A function that does again what was collected, call by call."""
    left = iter(outputs)

    def answer(*arguments):
        kind, *rest = next(left)
        if kind == "late":
            raise _Late  # noqa: F821
        if kind == "raised":
            raise type(rest[0], (Exception,), {})(rest[1])
        return {"open": ..., "none": None}.get(kind, rest[0] if rest else None)

    return answer


def agree(outputs, known):
    """Whether two lists of outputs are the same values."""
    kinds = {kind for kind, *_ in (*outputs, *known)}
    if kinds != {"value"}:
        return False
    pairs = [(np.array(a[1]), np.array(b[1])) for a, b in zip(outputs, known, strict=True)]
    return all(a.shape == b.shape and np.allclose(a, b, 1e-9, equal_nan=True) for a, b in pairs)


def say(outputs, cases, expected, known, options):
    """What is wrong with outputs, and why, where the reason is known; empty where they are right.

    `known` yields outputs of wrong answers, each with its reason.
    """
    said = check(replay(outputs), cases, expected, **options)  # noqa: F821
    if said == "correct":
        return ""
    given = all(kind == "value" for kind, *_ in outputs)
    reason = next((why for others, why in known if agree(outputs, others)), None) if given else None
    return f"{said}: {reason}" if reason else str(said)


def ask(answer, program, seconds, word):
    """Have an answer judged: what is wrong with it, or `word`, which only the graded test knows."""
    if not callable(answer):
        return "there is no such function"
    command = [sys.executable, "-c", program]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
    with subprocess.Popen(command, env=os.environ | {"TQDM_DISABLE": "1"}, **pipes) as judge:
        cases = pickle.load(judge.stdout)
        outputs = collect(answer, cases, seconds)
        judge.stdin.write(json.dumps([word, outputs]).encode())
        judge.stdin.close()
        return judge.stdout.read().decode()


def serve(pipe, cases, judge):
    """The judge's side of `ask`."""
    pickle.dump(cases, pipe)
    pipe.flush()
    word, outputs = json.load(sys.stdin)
    pipe.write((judge(outputs) or word).encode())
    pipe.flush()
