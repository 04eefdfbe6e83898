import numpy as np
__all__ = ["check"]
def check(answer, cases, expected, *, rtol=1e-6):
    for c, e in zip(cases, [expected(*c) for c in cases] if callable(expected) else expected):
        import copy
        got = answer(*copy.deepcopy(c))
        if got is ...: return "not answered yet"
        if not np.allclose(np.asarray(got,float), np.asarray(e,float), rtol=rtol): return f"wrong {got} {e}"
    return "correct"
