# SPDX-License-Identifier: LGPL-2.1-or-later
"""What /proc tells of processes, their descriptors and the locks behind them."""

import os
import shutil
from typing import NamedTuple


THREADS = 17    # in stat_fields()


class Lock(NamedTuple):
    """A lock that hangs on a descriptor: fdinfo's 'lock:' line."""
    fd: int
    kind: str   # OFDLCK, POSIX
    type: str   # READ, WRITE
    inode: int
    start: int
    end: int    # -1: end of file


def stat_fields(pid):
    """The fields behind the command's name of /proc/PID/stat: [0] is the state; None: no such process."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
            return file.read().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None


def alive(pid):
    """A zombie is dead, but one whose other threads still run has its descriptors, and locks."""
    fields = stat_fields(pid)
    return fields is not None and (fields[0] not in "ZX" or int(fields[THREADS]) > 1)


def state(pid):
    """One letter: R, S, D, T, ...; None: no such process."""
    fields = stat_fields(pid)
    return fields and fields[0]


def is_stopped(pid):
    """By a signal, or by a tracer."""
    return state(pid) in ("T", "t")


def thread_states(pid):
    """One letter a thread; t: held by ptrace."""
    return [fields[0] for fields in map(stat_fields, _tasks(pid)) if fields]


def tracers(pid):
    """The pids of those who trace threads of this process."""
    found = set()
    for task in _tasks(pid):
        try:
            with open(f"/proc/{task}/status", encoding="utf-8", errors="replace") as file:
                found |= {int(line.split()[1]) for line in file if line.startswith("TracerPid:")}
        except (FileNotFoundError, ProcessLookupError):
            pass
    return found - {0}


def _tasks(pid):
    try:
        return [f"{pid}/task/{tid}" for tid in os.listdir(f"/proc/{pid}/task")]
    except FileNotFoundError:
        return []


def children(pid):
    try:
        tasks = os.listdir(f"/proc/{pid}/task")
    except FileNotFoundError:
        return []
    found = []
    for task in tasks:
        try:
            with open(f"/proc/{pid}/task/{task}/children", encoding="ascii") as file:
                found += [int(child) for child in file.read().split()]
        except (FileNotFoundError, ProcessLookupError):
            pass
    return found


def stuck(pid):
    """Where each thread of a process is that does not get on: lines for a failed test's message."""
    def read(task, name):
        try:
            with open(f"/proc/{task}/{name}", encoding="utf-8", errors="replace") as file:
                return " < ".join(line.split()[-1] if name == "stack" else line.strip() for line in file)
        except OSError as error:
            return error.strerror
    lines = [f"{pid} {state(pid)} {' '.join(argv(pid)).strip()[:200]}: {fds(pid)}"]
    return lines + [f"\t{task} {read(task, 'comm')}: call {read(task, 'syscall')} in {read(task, 'stack')}"
                    for task in _tasks(pid)]


def status(pid):
    """The lines of /proc/PID/status by their names."""
    return status_in(f"/proc/{pid}/status")


def status_in(path):
    """The same of a copy of that file."""
    with open(path, encoding="ascii") as file:
        return dict(line.rstrip("\n").split(":\t", 1) for line in file if ":\t" in line)


def argv_bytes(pid):
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            return file.read().split(b"\0")[:-1]
    except (FileNotFoundError, ProcessLookupError):
        return []


def argv(pid):
    return [os.fsdecode(word) for word in argv_bytes(pid)]


def exe(pid):
    """(device, inode) of the program; None: no such process."""
    return exe_of(f"/proc/{pid}/exe")


def exe_of(path):
    try:
        info = os.stat(shutil.which(path) or path)
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return None     # a supervisor is root's alone to look at
    return info.st_dev, info.st_ino


def pids():
    """Of all processes but this one."""
    return [int(entry) for entry in os.listdir("/proc") if entry.isdigit() and int(entry) != os.getpid()]


def with_environment(text):
    """Pids of live processes in whose environment `text` stands."""
    found = []
    for pid in pids():
        try:
            with open(f"/proc/{pid}/environ", "rb") as file:
                if text.encode() in file.read() and alive(pid):
                    found.append(pid)
        except (FileNotFoundError, ProcessLookupError, PermissionError):
            pass
    return found


def fds(pid):
    """fd -> what the link says."""
    links = {}
    try:
        names = os.listdir(f"/proc/{pid}/fd")
    except FileNotFoundError:
        return links
    for name in names:
        try:
            links[int(name)] = os.readlink(f"/proc/{pid}/fd/{name}")
        except FileNotFoundError:
            pass
    return links


def fd_locks(pid, path):
    """The locks on `path` that hang on descriptors of this process."""
    inode = os.stat(path).st_ino
    found = []
    try:
        names = os.listdir(f"/proc/{pid}/fdinfo")
    except FileNotFoundError:
        return found
    for name in names:
        try:
            with open(f"/proc/{pid}/fdinfo/{name}", encoding="ascii") as file:
                lines = file.read().splitlines()
        except (FileNotFoundError, ProcessLookupError):
            continue
        for line in lines:
            if not line.startswith("lock:"):
                continue
            # lock: 1: OFDLCK ADVISORY WRITE -1 fe:00:1234 0 0
            _, _, kind, _, mode, _, device, start, end = line.split()
            lock = Lock(int(name), kind, mode, int(device.split(":")[2]), int(start),
                        -1 if end == "EOF" else int(end))
            if lock.inode == inode:
                found.append(lock)
    return found


def context_switches(pid):
    """Voluntary and other ones, of all threads: a process that sleeps makes none."""
    total = 0
    for task in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{task}/status", encoding="ascii") as file:
            total += sum(int(line.split()[1]) for line in file
                         if "ctxt_switches" in line)
    return total
