"""What was checked, and how well it agreed: the pytest plugin reads it after each test; and the options that it sets."""

from dataclasses import asdict, dataclass

NIGHTLY = 30  # how many times more examples a nightly run tries
LIMIT = 200  # entries kept for one test; more are merged with the last of the same name


@dataclass
class Options:
    """Defaults of all checks, which a command line may change: None leaves it to the check."""

    eps: float | None = None
    atol: float | None = None
    rtol: float | None = None
    fast: bool = False
    nightly: bool = False

    def filled(self, **given):
        """The options for one check: what was given, else what the command line says, else nothing."""
        chosen = {name: given.get(name) if given.get(name) is not None else getattr(self, name) for name in ("eps", "atol", "rtol")}
        chosen = {name: value for name, value in chosen.items() if value is not None}
        fast = given.get("fast_mode")
        return chosen | dict(fast_mode=self.fast if fast is None else fast)

    def examples(self, count):
        """How many examples a test tries."""
        return count * NIGHTLY if self.nightly else count


@dataclass
class Entry:
    """One function that was checked."""

    name: str
    ok: bool
    derivatives: int
    error: float | None  # the largest difference from a slope; None where nothing could be compared
    checks: int = 1


options = Options()
waiting: dict[str, Entry] = {}  # since the plugin last looked


def record(name, ok, derivatives=0, error=None):
    """Note one check; several of the same function are one entry with the worst error."""
    entry = waiting.get(name)
    if entry is None:
        if len(waiting) < LIMIT:
            waiting[name] = Entry(name, bool(ok), int(derivatives), error)
        return
    entry.ok &= bool(ok)
    entry.derivatives += int(derivatives)
    entry.checks += 1
    if error is not None:
        entry.error = error if entry.error is None else max(entry.error, error)


def take():
    """The entries as plain dicts, and a clean sheet.

    >>> from tinygrad_edu.testing import records
    >>> before = records.take()
    >>> records.record("square", True, 4, 1e-9); records.take()
    [{'name': 'square', 'ok': True, 'derivatives': 4, 'error': 1e-09, 'checks': 1}]
    """
    entries = [asdict(entry) for entry in waiting.values()]
    waiting.clear()
    return entries
