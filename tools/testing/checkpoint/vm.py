#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Boot the built kernel in QEMU and run one command in it.

The command's output arrives on a virtio port and is passed on as it comes.
The kernel's console goes to a log of its own, which is searched for anything
a kernel says only when something is wrong. Exit status: the command's; 124
after a timeout; 125 if the guest died before it could tell; 99 if the command
succeeded but the kernel complained.
"""

import argparse
import os
import re
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

TIMED_OUT, DIED, COMPLAINED = 124, 125, 99
TAIL_LINES = 60
PROBE_SECONDS = 20
PROBE_AGAIN_SECONDS = 3600

STAMP = r"^(?:\[[^\]]*\])*\s*"
SPLAT = re.compile("|".join((
    STAMP + r"(?:WARNING|BUG|KASAN|UBSAN|KCSAN)\b:?", r"------------\[ cut here \]",
    r"Kernel panic", r"\bOops\b", r"general protection fault(?! ip:)", r"BUG: ", r"UBSAN: ",
    r"rcu: INFO: .*(?:stall|starved)", r"INFO: task .* blocked for", r"soft lockup",
    r"INFO: trying to register non-static key", r"INFO: lockdep is turned off",
    r"possible .*deadlock", r"refcount_t: ",
    r"Bad page (?:state|map)", r"unable to handle", r"kernel BUG at")))

# A function of the project in a stack trace.
OURS = re.compile(r"\b(?:cr_|\w*checkpoint|\w*restart)\w*\+")
# One report of KCSAN, between its two rules.
RACE = re.compile(r"^[^\n]*BUG: KCSAN: .*?^[^\n]*={20}[^\n]*\n", re.M | re.S)


def splats(text):
    """The lines of a console log which report trouble."""
    return [line for line in text.splitlines() if SPLAT.search(line)]


def kvm_works(log, kernel):
    """Only where a guest really runs: an openable /dev/kvm proves little."""
    if not os.access("/dev/kvm", os.R_OK | os.W_OK):
        return False
    # Without a root it panics in no time, which is all we want to see.
    args = ["qemu-system-x86_64", "-accel", "kvm", "-cpu", "max", "-m", "512",
            "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot",
            "-kernel", str(kernel), "-serial", f"file:{log}",
            "-append", "console=ttyS0 panic=-1"]
    try:
        subprocess.run(args, timeout=PROBE_SECONDS, check=False,
                       stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        return "Kernel panic" in log.read_text(errors="replace")
    except OSError:
        return False


def remembered(cache):
    """What was found before, unless that was for some time only, which is over."""
    words = cache.read_text().split() if cache.exists() else []
    if not words or len(words) > 1 and time.time() > int(words[1]):
        return None
    return words[0]


def accelerator(build, kernel):
    """KVM where it works; remembered, as it takes a while to find out."""
    cache = build / "accel"
    accel, until = remembered(cache), ""
    if accel:
        return accel
    try:
        accel = "kvm" if kvm_works(build / "logs" / "kvm-probe.log", kernel) else "tcg"
    except subprocess.TimeoutExpired:
        # It may hang for ever, or the host was busy: ask again, but not every time.
        accel, until = "tcg", f" {int(time.time()) + PROBE_AGAIN_SECONDS}"
    cache.write_text(f"{accel}{until}\n")
    return accel


def leave(number, _frame):
    """End by way of all clean-up, which a second signal must not disturb."""
    signal.signal(number, signal.SIG_IGN)
    sys.exit(128 + number)


class Vm:
    """One run of the machine. @on_output gets every chunk the command prints."""

    def __init__(self, opts, on_output=None):
        self.opts = opts
        self.build = Path(opts.build).resolve()
        self.on_output = on_output or self.print_output
        out = "kernel" if opts.kernel == "normal" else f"kernel-{opts.kernel}"
        self.image = self.build / out / "arch/x86/boot/bzImage"
        logs = self.build / "logs"
        logs.mkdir(parents=True, exist_ok=True)
        name = time.strftime("%Y%m%d-%H%M%S") + f"-{os.getpid()}"
        self.console = logs / f"{opts.name}-{name}.console"
        self.timed_out = False

    @staticmethod
    def print_output(data):
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()

    def share(self, tag, path, readonly=False):
        fsdev = f"local,id={tag},path={path},security_model=none,multidevs=remap"
        return ["-fsdev", fsdev + (",readonly=on" if readonly else ""),
                "-device", f"virtio-9p-pci,fsdev={tag},mount_tag={tag}"]

    def command_line(self):
        words = ["console=ttyS0", "root=/dev/vda", "rw", "rootfstype=ext4",
                 "init=/sbin/vm-init", "panic=-1", "ignore_loglevel",
                 "net.ifnames=0", "tsc=reliable", "watchdog_thresh=60",
                 "rcupdate.rcu_cpu_stall_timeout=120", "printk.devkmsg=on",
                 # a busy host may not give the timer's interrupt in time
                 "no_timer_check"]
        if not self.opts.kunit:
            words.append("kunit.enable=0")
        return " ".join(words + [self.opts.cmdline])

    def qemu_args(self, ctl, out_fd):
        accel = accelerator(self.build, self.image)
        opts = self.opts
        args = ["qemu-system-x86_64", "-M", "q35",
                "-accel", "tcg,thread=multi" if accel == "tcg" else "kvm",
                # LA57 would only add a level to every walk under emulation.
                "-cpu", "max,la57=off", "-m", str(opts.mem), "-smp", str(opts.cpus),
                "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot",
                "-kernel", str(self.image), "-append", self.command_line(),
                "-serial", f"file:{self.console}",
                "-drive", f"file={opts.rootfs},if=virtio,format=raw,snapshot=on",
                "-device", "virtio-rng-pci",
                "-netdev", "user,id=net,restrict=on", "-device", "virtio-net-pci,netdev=net",
                "-device", "virtio-serial-pci"]
        args += self.share("tools", ctl.parent / "guest", readonly=True)
        args += self.share("ctl", ctl)
        if opts.share:
            args += self.share("host", Path(opts.share).resolve())
        if opts.shell:
            return args + ["-chardev", "stdio,id=tty,signal=off",
                           "-device", "virtconsole,chardev=tty"]
        return args + ["-chardev", f"file,id=out,path=/dev/fd/{out_fd}",
                       "-device", "virtserialport,chardev=out,name=out,nr=1"]

    def pump(self, fd, qemu):
        """Pass the output on until QEMU is gone or the time is up."""
        deadline = time.monotonic() + self.opts.timeout
        while True:
            left = deadline - time.monotonic()
            if left <= 0:
                self.timed_out = True
                qemu.kill()
                return
            if select.select([fd], [], [], min(left, 5))[0]:
                data = os.read(fd, 65536)
                if not data:
                    return
                self.on_output(data)

    def boot(self, ctl):
        rfd, wfd = os.pipe()
        env = dict(os.environ, TMPDIR=str(self.build))
        args = self.qemu_args(ctl, wfd)
        stdin = None if self.opts.shell else subprocess.DEVNULL
        with subprocess.Popen(args, stdin=stdin, pass_fds=(wfd,), env=env) as qemu:
            try:
                os.close(wfd)
                self.pump(rfd, qemu)
                qemu.wait()
            finally:
                qemu.kill()
                os.close(rfd)

    def run(self):
        """Boot, run, and return (exit status, list of kernel complaints)."""
        signal.signal(signal.SIGTERM, leave)
        with tempfile.TemporaryDirectory(prefix="vm.", dir=self.build) as tmp:
            ctl = Path(tmp) / "ctl"
            ctl.mkdir()
            # Links, so that a build meanwhile changes nothing under a running guest.
            shutil.copytree(self.build / "guest", Path(tmp) / "guest", copy_function=os.link)
            (ctl / "mode").write_text("shell\n" if self.opts.shell else "run\n")
            (ctl / "cmd").write_text(self.opts.cmd)
            if self.opts.shell and sys.stdout.isatty():
                size = shutil.get_terminal_size()
                (ctl / "winsize").write_text(f"{size.lines} {size.columns}\n")
            self.boot(ctl)
            status = ctl / "status"
            code = int(status.read_text()) if status.exists() else DIED
        if self.timed_out:
            code = TIMED_OUT
        found = splats(self.console_text())
        return (COMPLAINED if found and not code else code), found

    def console_text(self):
        """What the kernel said, but for data races between others."""
        if not self.console.exists():
            return ""
        return RACE.sub(lambda report: report.group(0) if OURS.search(report.group(0)) else "",
                        self.console.read_text(errors="replace"))

    def explain(self, code, found):
        """Say on stderr what went wrong, if it was not the command itself."""
        if code == TIMED_OUT and self.timed_out:
            print(f"vm: timed out after {self.opts.timeout} s", file=sys.stderr)
        elif code == DIED:
            print("vm: the guest died", file=sys.stderr)
        elif not found:
            return
        for line in found[:20]:
            print(f"vm: kernel: {line}", file=sys.stderr)
        print(f"vm: the end of {self.console}:", file=sys.stderr)
        print("\n".join(self.console_text().splitlines()[-TAIL_LINES:]), file=sys.stderr)


def parser():
    """Options shared by everything that boots a machine."""
    args = argparse.ArgumentParser()
    args.add_argument("--build", required=True)
    args.add_argument("--rootfs", required=True)
    args.add_argument("--kernel", default="normal", help="flavour, as for make KERNEL=")
    args.add_argument("--mem", type=int, default=4096, help="MiB")
    args.add_argument("--cpus", type=int, default=2)
    args.add_argument("--timeout", type=int, default=600, help="seconds")
    args.add_argument("--share", default="", help="directory to show at /host")
    args.add_argument("--cmdline", default="", help="more kernel arguments")
    args.add_argument("--cmd", default="")
    args.add_argument("--shell", action="store_true")
    args.add_argument("--kunit", action="store_true", help="run KUnit at boot")
    args.add_argument("--name", default="vm", help="prefix of the console log")
    return args


def main():
    opts = parser().parse_args()
    machine = Vm(opts)
    code, found = machine.run()
    machine.explain(code, found)
    sys.exit(code)


if __name__ == "__main__":
    main()
