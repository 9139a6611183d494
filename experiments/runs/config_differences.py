"""What two nested configs differ in, entry by entry."""


def flat(tree, prefix=""):
    """Names nested entries by their path: `{"model": {"name": x}}` -> `{"model.name": x}`."""
    leaves = {}
    for name, value in tree.items():
        inner = isinstance(value, dict) and value
        leaves |= flat(value, f"{prefix}{name}.") if inner else {prefix + name: value}
    return leaves


def differences(there, now):
    """Says which entries of two nested configs differ: `model.gd: 8 there, 4 now; ...`, or ""."""
    there, now = flat(there), flat(now)
    return "; ".join(
        f"{name}: {there.get(name, 'absent')!r} there, {now.get(name, 'absent')!r} now"
        for name in sorted(there.keys() | now.keys())
        if there.get(name, "absent") != now.get(name, "absent")
    )
