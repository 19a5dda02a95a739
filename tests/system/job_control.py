#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""job_control.py FD COMMAND...: what an interactive shell does with a foreground job.

Standard input must be a terminal (a pty's slave): it becomes the controlling terminal, and COMMAND
the foreground process group. Descriptor FD is told what becomes of it, a line each:
'pid N', 'stopped SIGNAL', 'continued', 'exited STATUS', 'killed SIGNAL'.
"""

import fcntl
import os
import signal
import sys
import termios

REPORT = int(sys.argv[1])


def tell(line):
    os.write(REPORT, line.encode() + b"\n")


def start(command):
    pid = os.fork()
    if pid == 0:
        os.setpgid(0, 0)
        os.tcsetpgrp(0, os.getpid())
        signal.signal(signal.SIGTTOU, signal.SIG_DFL)
        os.close(REPORT)
        os.execvp(command[0], command)
    try:
        os.setpgid(pid, pid)
    except PermissionError:
        pass  # it has done so itself, and execs already
    return pid


def main():
    os.setsid()
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
    signal.signal(signal.SIGTTOU, signal.SIG_IGN)  # tcsetpgrp from the background
    pid = start(sys.argv[2:])
    tell(f"pid {pid}")
    while True:
        _, status = os.waitpid(pid, os.WUNTRACED | os.WCONTINUED)
        if os.WIFSTOPPED(status):
            tell(f"stopped {os.WSTOPSIG(status)}")
        elif os.WIFCONTINUED(status):
            tell("continued")
        elif os.WIFEXITED(status):
            tell(f"exited {os.WEXITSTATUS(status)}")
            return
        else:
            tell(f"killed {os.WTERMSIG(status)}")
            return


if __name__ == "__main__":
    main()
