"""The folder of keys: this user's own secret, the keys that may come in, those of aggregators.

`secret` holds 32 bytes in hex; `allowed` has a line for each key that an aggregator lets in, and
`trusted` one for each aggregator that an agent believes. Keys are shown in hex: what ZeroMQ writes
instead holds characters that shells take for their own.
"""

import os
import re
import stat
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from rnts.errors import UsageError

SECRET, ALLOWED, TRUSTED = "secret", "allowed", "trusted"
ROLES = ("agent", "viewer")
LINES_MAX = 100_000
FILE_BYTES_MAX = 32 << 20
_KEY = re.compile(r"[0-9a-f]{64}", re.ASCII)
_NAME = re.compile(r"[A-Za-z0-9][\w.-]{0,99}", re.ASCII)


class Allowed(NamedTuple):
    """A key that an aggregator lets in: an agent's, or that of somebody who only looks."""

    key: str
    role: str
    name: str
    agent_id: int | None = None  # the only agent that it may speak for

    def line(self) -> str:
        """As it stands in the file."""
        return " ".join([*self[:3], *([] if self.agent_id is None else [str(self.agent_id)])])


def default_keys_folder() -> Path:
    """$XDG_CONFIG_HOME/rnts/keys; named only, not made."""
    folder = os.environ.get("XDG_CONFIG_HOME", "")
    return (Path(folder) if os.path.isabs(folder) else Path.home() / ".config") / "rnts" / "keys"


def check_key(text: str) -> str:
    """A public key in hex; raises UsageError for what is none."""
    key = text.strip().lower()
    if not _KEY.fullmatch(key):
        raise UsageError(f"{text!r} is no key: 64 digits of 0-9 and a-f, as `rnts keys show` says")
    return key


def check_key_name(text: str) -> str:
    """A name for a key; raises UsageError for what is none."""
    if not _NAME.fullmatch(text):
        raise UsageError(f"{text!r} is no name for a key: letters, digits, '.', '-' and '_'")
    return text


def read_private(path: Path) -> bytes:
    """A file that nobody else may read; raises UsageError where somebody could."""
    try:
        with open(path, "rb") as file:
            info = os.fstat(file.fileno())
            content = file.read(1 << 16)
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}") from error
    if info.st_uid not in (os.getuid(), 0) or not stat.S_ISREG(info.st_mode):
        raise UsageError(f"{path} is not a file of this user's own, so it is no secret")
    if info.st_mode & 0o077:
        mode = stat.S_IMODE(info.st_mode)
        raise UsageError(f"{path} has mode {mode:o}, so others can read it; chmod 600 {path}")
    return content


class KeyFolder:
    """The three files; whoever asks gets what stands there now."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._seen: tuple[int, ...] = ()
        self._allowed: dict[str, Allowed] = {}

    @property
    def has_secret(self) -> bool:
        """Whether there is a pair of keys of this user's own."""
        return (self.folder / SECRET).exists()

    def secret(self) -> bytes:
        """This user's own secret key; raises UsageError if there is none or others can read it."""
        text = read_private(self.folder / SECRET).decode("ascii", "replace").strip()
        if not _KEY.fullmatch(text):
            raise UsageError(f"{self.folder / SECRET} is damaged; `rnts keys generate --force`")
        return bytes.fromhex(text)

    def keep_secret(self, secret: bytes, replace: bool) -> None:
        """Write the secret key down; raises UsageError where there is one, unless told to."""
        if self.has_secret and not replace:
            raise UsageError(
                f"{self.folder / SECRET} is there already; --force replaces it, and who knew "
                "its public key has to be told the new one"
            )
        self._write(SECRET, [secret.hex()])

    def allowed(self) -> dict[str, Allowed]:
        """Who is let in, by key. The file is read again when it has changed."""
        try:
            info = os.stat(self.folder / ALLOWED)
        except OSError:
            self._seen, self._allowed = (), {}
            return {}
        seen = (info.st_mtime_ns, info.st_size, info.st_ino)
        if seen != self._seen:
            entries = (self._entry(words) for words in self._lines(ALLOWED))
            self._allowed = {entry.key: entry for entry in entries}
            self._seen = seen
        return self._allowed

    def _entry(self, words: list[str]) -> Allowed:
        if not 3 <= len(words) <= 4 or words[1] not in ROLES or not words[-1].isascii():
            raise self._damaged(ALLOWED, words)
        if len(words) == 4 and not words[3].isdigit():
            raise self._damaged(ALLOWED, words)
        pinned = int(words[3]) if len(words) == 4 else None
        return Allowed(check_key(words[0]), words[1], check_key_name(words[2]), pinned)

    def allow(self, entry: Allowed) -> None:
        """Let a key in, or change what it may do; another key of its name is refused."""
        entries = dict(self.allowed())
        for other in entries.values():
            if other.name == entry.name and other.key != entry.key:
                raise UsageError(f"{entry.name} has another key already; remove that first")
        entries[entry.key] = entry
        self._write(ALLOWED, [each.line() for each in entries.values()])

    def trusted(self) -> dict[str, str]:
        """The keys of aggregators, by their addresses."""
        found = {}
        for words in self._lines(TRUSTED):
            if len(words) != 2:
                raise self._damaged(TRUSTED, words)
            found[words[0]] = check_key(words[1])
        return found

    def trust(self, endpoint: str, key: str) -> None:
        """Believe whoever proves to have `key` at an address."""
        entries = {**self.trusted(), endpoint: key}
        self._write(TRUSTED, [f"{place} {each}" for place, each in entries.items()])

    def remove(self, what: str) -> int:
        """Take a key off both lists, by key, name or address; how many lines went."""
        allowed, trusted = self.allowed(), self.trusted()
        kept = [each for each in allowed.values() if what not in (each.key, each.name)]
        known = {place: key for place, key in trusted.items() if what not in (place, key)}
        if len(kept) < len(allowed):
            self._write(ALLOWED, [each.line() for each in kept])
        if len(known) < len(trusted):
            self._write(TRUSTED, [f"{place} {key}" for place, key in known.items()])
        return len(allowed) - len(kept) + len(trusted) - len(known)

    def _lines(self, name: str) -> list[list[str]]:
        """The words of each line of a list; nobody but this user may be able to write to it."""
        path = self.folder / name
        try:
            with open(path, encoding="utf-8", errors="replace") as file:
                info = os.fstat(file.fileno())
                text = file.read(FILE_BYTES_MAX)
        except FileNotFoundError:
            return []
        except OSError as error:
            raise UsageError(f"{path} cannot be read: {error.strerror}") from error
        if info.st_uid not in (os.getuid(), 0) or info.st_mode & 0o022:
            raise UsageError(f"others can write to {path}; chmod 600 {path}")
        lines = [line.split() for line in text.splitlines()[:LINES_MAX]]
        return [words for words in lines if words]

    def _damaged(self, name: str, words: list[str]) -> UsageError:
        return UsageError(f"{self.folder / name} has a line that is none: {' '.join(words)!r}")

    def _write(self, name: str, lines: list[str]) -> None:
        """Replace a file as a whole: who reads it meanwhile finds the old or the new one."""
        path, draft = self.folder / name, self.folder / f".{name}.{os.getpid()}"
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
                file.write("".join(f"{line}\n" for line in lines))
                file.flush()
                os.fsync(file.fileno())
            draft.replace(path)
        except OSError as error:
            draft.unlink(missing_ok=True)
            raise UsageError(f"{path} cannot be written: {error.strerror}") from error


def tolerant(
    allowed: Callable[[], dict[str, Allowed]], complain: Callable[[str], None]
) -> Callable[[], dict[str, Allowed]]:
    """The list for a running aggregator: where it is damaged, the last good one stays in force."""
    last: dict[str, Allowed] = {}
    said = ""

    def look() -> dict[str, Allowed]:
        nonlocal last, said
        try:
            last, said = allowed(), ""
        except UsageError as error:
            if str(error) != said:
                said = str(error)
                complain(said)
        return last

    return look
