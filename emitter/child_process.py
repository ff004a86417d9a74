"""A command run as if nobody stood between: its input, outputs, signals and end are its own; its last words are kept.

Standard output is the command's own. Standard error is too where it is a file, from which the tail is read afterwards;
otherwise it passes through a pipe, or a pseudo-terminal where it is a terminal, so that the command sees one.
Linux only: which signals the terminal sends to everybody, and which somebody sent to us, only ``sigtimedwait`` tells.
"""

from __future__ import annotations

import errno
import os
import pty
import signal
import stat
import sys
import termios
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NoReturn

#: What somebody may send to the command by sending it to us.
_FORWARDED = {
    signal.SIGHUP,
    signal.SIGINT,
    signal.SIGQUIT,
    signal.SIGTERM,
    signal.SIGUSR1,
    signal.SIGUSR2,
}
#: siginfo's si_code for a signal that the kernel sent: of these, the terminal's, which the command got as well.
_FROM_KERNEL = 0x80
_TAIL_BYTES = 8_000
#: After the command's end, how long what it left behind may go on writing before a helper takes over.
_LINGER_SECONDS = 0.3


@dataclass(frozen=True, slots=True)
class Exit:
    """How the command ended: with an exit code, or by a signal; ``seconds`` is how long it ran."""

    code: int | None
    signal: int | None
    seconds: float

    @property
    def succeeded(self) -> bool:
        """Whether it ended with 0."""
        return self.code == 0

    def told(self) -> str:
        """In words."""
        if self.signal is not None:
            return f"was ended by {signal_name(self.signal)}"
        return f"exited with {self.code}"


class ChildProcess:
    """The command; ``start`` it, ``wait`` for it, then ``end_like_it``. In the main thread only.

    Raises OSError from ``start`` where there is no such program or it may not be run.
    """

    def __init__(self, command: Sequence[str], environment: Mapping[str, str]) -> None:
        self._command = list(command)
        self._environment = dict(environment)
        self._mask: set[int] = set()
        self._pid = 0
        self._began = 0.0
        self._errors = _Errors()

    def start(self) -> None:
        """Start the command; from now on signals wait for ``wait``."""
        self._mask = {int(one) for one in signal.pthread_sigmask(signal.SIG_BLOCK, _FORWARDED | {signal.SIGCHLD})}
        self._began = time.monotonic()
        try:
            self._spawn(self._command)
        except OSError as error:
            if error.errno != errno.ENOEXEC:
                raise
            self._spawn(["/bin/sh", *self._command])  # a script without #!, as a shell would
        finally:
            self._errors.started()

    def wait(self, seconds: float) -> Exit | None:
        """Wait so long for the command's end, passing signals on; None where it still runs."""
        deadline = time.monotonic() + seconds
        while True:
            pid, status = os.waitpid(self._pid, os.WNOHANG)
            if pid:
                self._errors.finish(self._mask)
                code = os.waitstatus_to_exitcode(status)
                ran = time.monotonic() - self._began
                return Exit(code, None, ran) if code >= 0 else Exit(None, -code, ran)
            left = deadline - time.monotonic()
            if left <= 0:
                return None
            found = signal.sigtimedwait(_FORWARDED | {signal.SIGCHLD}, left)
            if found is not None and found.si_signo != signal.SIGCHLD and found.si_code != _FROM_KERNEL:
                os.kill(self._pid, found.si_signo)  # not reaped yet, so the pid is still the command's

    @property
    def running_for(self) -> float:
        """Seconds since the start."""
        return time.monotonic() - self._began

    @property
    def tail(self) -> str:
        """The end of what the command wrote to standard error."""
        return self._errors.tail()

    def _spawn(self, command: list[str]) -> None:
        self._pid = os.posix_spawnp(
            command[0],
            command,
            self._environment,
            file_actions=self._errors.file_actions(),
            setsigmask=[signal.Signals(one) for one in self._mask],
            setsigdef=[signal.SIGPIPE, signal.SIGXFSZ],  # Python ignores these, the command would not
        )


def end_like(exit_: Exit) -> NoReturn:
    """End this process as the command ended."""
    sys.stdout.flush()
    if exit_.signal is None:
        raise SystemExit(exit_.code)
    import resource

    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # the command has left its own, if any
    if exit_.signal not in (signal.SIGKILL, signal.SIGSTOP):
        signal.signal(exit_.signal, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {exit_.signal})
    os.kill(os.getpid(), exit_.signal)
    raise SystemExit(128 + exit_.signal)


def signal_name(number: int) -> str:
    """``SIGTERM`` for 15."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


class _Errors:
    """The command's standard error, on its way to ours."""

    def __init__(self) -> None:
        self._kept = bytearray()
        self._source: int | None = None  # our end of the pipe or pseudo-terminal
        self._sink: int | None = None  # the command's end
        self._offset: int | None = None  # where the file ended before
        self._thread: threading.Thread | None = None
        try:
            mode = os.fstat(2)
        except OSError:
            return  # closed, and so it shall be for the command
        if stat.S_ISREG(mode.st_mode) and os.path.exists("/proc/self/fd/2"):
            self._offset = mode.st_size
        elif os.isatty(2):
            self._source, self._sink = pty.openpty()
            _make_plain(self._sink)
        else:
            self._source, self._sink = os.pipe()

    def file_actions(self) -> list[tuple[int, int, int]]:
        """For posix_spawn."""
        return [] if self._sink is None else [(os.POSIX_SPAWN_DUP2, self._sink, 2)]

    def started(self) -> None:
        """The command has its end, or will never have it: let go of it, and begin to copy."""
        if self._sink is not None:
            os.close(self._sink)
            self._sink = None
            self._thread = threading.Thread(target=self._copy, name="headwater-stderr", daemon=True)
            self._thread.start()

    def finish(self, mask: set[int]) -> None:
        """The command has ended. What it left running may go on writing: then a helper goes on copying without us."""
        if self._thread is None:
            return
        self._thread.join(_LINGER_SECONDS)
        if self._thread.is_alive() and self._source is not None and os.fork() == 0:
            try:
                signal.pthread_sigmask(signal.SIG_SETMASK, mask)
                for descriptor in (0, 1):  # whoever reads our output must see its end
                    os.close(descriptor)
                self._copy()
            finally:
                os._exit(0)

    def tail(self) -> str:
        if self._offset is not None:
            try:
                with open("/proc/self/fd/2", "rb") as file:
                    size = file.seek(0, os.SEEK_END)
                    file.seek(max(self._offset, size - _TAIL_BYTES))
                    return _text(file.read(_TAIL_BYTES))
            except OSError:
                return ""
        return _text(bytes(self._kept[-_TAIL_BYTES:]))

    def _copy(self) -> None:
        assert self._source is not None
        try:
            while part := os.read(self._source, 65_536):
                self._kept += part
                del self._kept[: -2 * _TAIL_BYTES]
                while part:
                    part = part[os.write(2, part) :]
        except OSError:  # a pseudo-terminal whose last writer has gone; or nobody reads ours any more
            pass
        os.close(self._source)  # the command is told the usual way: SIGPIPE


def _make_plain(terminal: int) -> None:
    """Let the bytes through as they are: our own terminal does what a terminal does."""
    attributes = termios.tcgetattr(terminal)
    attributes[1] &= ~termios.OPOST
    attributes[3] &= ~termios.ECHO
    termios.tcsetattr(terminal, termios.TCSANOW, attributes)


def _text(tail: bytes) -> str:
    return tail.decode(errors="replace").strip()
