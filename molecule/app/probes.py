# SPDX-License-Identifier: GPL-3.0-or-later
"""What an attacker tries from inside a container. Runs there, with {name: HOST:PORT} as its argument; prints {name: outcome} as JSON.

An outcome is "done", the name of an errno, or of the signal by which the attempt died. Numbers of system calls are those of x86-64.
"""

from __future__ import annotations

import ctypes
import errno
import json
import mmap
import os
import shutil
import signal
import socket
import sys
import time
from collections.abc import Callable

PROGRAM = "/usr/bin/python3.13"
libc = ctypes.CDLL(None, use_errno=True)
libc.syscall.restype = ctypes.c_long
PROBES: dict[str, Callable[[], object]] = {}


def probe(function: Callable[[], object]) -> Callable[[], object]:
    PROBES[function.__name__] = function
    return function


def call(number: int, *arguments: object) -> int:
    """A system call that raises OSError."""
    words = [ctypes.c_long(word) if isinstance(word, int) else word for word in arguments]
    result = int(libc.syscall(ctypes.c_long(number), *words))
    if result < 0:
        raise OSError(ctypes.get_errno(), "refused")
    return result


def simple(name: str, number: int, *arguments: object) -> None:
    PROBES[name] = lambda: call(number, *arguments)


def opening(name: str, path: str, flags: int) -> None:
    PROBES[name] = lambda: os.open(path, flags)


def connecting(name: str) -> None:
    """To the address of this name on the command line."""

    def attempt() -> None:
        host, port = DESTINATIONS[name].rsplit(":", 1)
        socket.create_connection((host, int(port)), timeout=3).close()

    PROBES[name] = attempt


DESTINATIONS: dict[str, str] = {}

# --- files ---

for where in ("/", "/usr/lib", "/etc", "/run", "/run/secrets", "/var"):
    name = "write_" + (where.strip("/").replace("/", "_") or "root")
    opening(name, where.rstrip("/") + "/probe", os.O_WRONLY | os.O_CREAT)


def run(path: str) -> None:
    child = os.fork()
    if not child:
        try:
            os.execv(path, [path, "-c", ""])  # noqa: S606 - whether it starts is the question
        except OSError as error:
            os._exit(error.errno or 255)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if code:
        raise OSError(code, "did not run")


def copy_and_run(path: str) -> None:
    shutil.copyfile(PROGRAM, path)
    os.chmod(path, 0o700)
    try:
        run(path)
    finally:
        os.unlink(path)


@probe
def run_from_tmp() -> None:
    copy_and_run("/tmp/probe-program")


@probe
def run_from_shared_memory() -> None:
    copy_and_run("/dev/shm/probe-program")


@probe
def run_from_memory_file() -> None:
    descriptor = os.memfd_create("probe", 0)
    with open(PROGRAM, "rb") as source:
        os.sendfile(descriptor, source.fileno(), 0, os.fstat(source.fileno()).st_size)
    run(f"/proc/{os.getpid()}/fd/{descriptor}")


@probe
def map_code_from_tmp() -> None:
    with open("/tmp/probe-code", "w+b") as code:
        code.write(bytes(4096))
        code.flush()
        os.unlink("/tmp/probe-code")
        mmap.mmap(code.fileno(), 4096, prot=mmap.PROT_READ | mmap.PROT_EXEC)


@probe
def give_file_to_root() -> None:
    descriptor = os.open("/tmp/probe-owned", os.O_CREAT | os.O_WRONLY)
    os.unlink("/tmp/probe-owned")
    os.fchown(descriptor, 0, 0)


@probe
def make_block_device() -> None:
    os.mknod("/tmp/probe-device", 0o060600, os.makedev(7, 0))
    os.unlink("/tmp/probe-device")


@probe
def open_by_handle() -> None:
    handle = (ctypes.c_int * 34)(128)
    mount = ctypes.c_int()
    call(303, ctypes.c_long(-100), b"/etc/passwd", handle, ctypes.byref(mount), 0)


# --- users ---

PROBES["become_root"] = lambda: os.setresuid(0, 0, 0)
PROBES["become_root_group"] = lambda: os.setresgid(0, 0, 0)
PROBES["take_groups"] = lambda: os.setgroups([0])
PROBES["raise_priority"] = lambda: os.setpriority(os.PRIO_PROCESS, 0, -5)

# --- namespaces and mounts ---

CLONE_NEWNS, CLONE_NEWUSER, CLONE_NEWNET = 0x00020000, 0x10000000, 0x40000000
simple("unshare_user", 272, CLONE_NEWUSER)
simple("unshare_mounts", 272, CLONE_NEWNS)
simple("unshare_network", 272, CLONE_NEWNET)
simple("mount_tmpfs", 165, b"none", b"/tmp", b"tmpfs", 0, 0)
simple("remount_root", 165, b"none", b"/", None, 32, 0)
simple("unmount", 166, b"/dev/mqueue", 0)
simple("new_mount_interface", 430, b"tmpfs", 0)
PROBES["change_root"] = lambda: os.chroot("/tmp")


@probe
def clone_user_namespace() -> None:
    child = call(56, CLONE_NEWUSER | signal.SIGCHLD, 0, 0, 0, 0)
    if not child:
        os._exit(0)
    os.waitpid(child, 0)


@probe
def clone3_user_namespace() -> None:
    arguments = (ctypes.c_uint64 * 11)(CLONE_NEWUSER, 0, 0, 0, signal.SIGCHLD)
    child = call(435, arguments, 88)
    if not child:
        os._exit(0)
    os.waitpid(child, 0)


@probe
def enter_namespace() -> None:
    call(308, os.open("/proc/self/ns/mnt", os.O_RDONLY), 0)


# --- other processes ---


def with_child(attempt: Callable[[int], object]) -> None:
    child = os.fork()
    if not child:
        time.sleep(5)
        os._exit(0)
    try:
        attempt(child)
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


simple("be_traced", 101, 0, 0, 0, 0)
PROBES["trace_process"] = lambda: with_child(lambda child: call(101, 16, child, 0, 0))


@probe
def read_memory_of_process() -> None:
    text = ctypes.create_string_buffer(b"probe")
    own = (ctypes.c_ulong * 2)(ctypes.addressof(text), 5)
    with_child(lambda child: call(310, child, own, 1, own, 1, 0))


@probe
def take_descriptor_of_process() -> None:
    with_child(lambda child: call(438, os.pidfd_open(child), 0, 0))


# --- sockets ---

PROBES["raw_socket"] = lambda: socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
PROBES["packet_socket"] = lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 3)
PROBES["netfilter_socket"] = lambda: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 12)
PROBES["audit_socket"] = lambda: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 9)
PROBES["crypto_socket"] = lambda: socket.socket(socket.AF_ALG, socket.SOCK_SEQPACKET)
for name in (
    "database",
    "host_service",
    "own_listener",
    "metadata",
    "unlisted_host",
    "unlisted_port",
    "other_container",
):
    connecting(f"reach_{name}")


@probe
def ask_name_server() -> None:
    host, port = DESTINATIONS["ask_name_server"].rsplit(":", 1)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        asking.settimeout(3)
        asking.connect((host, int(port)))
        asking.send(b"probe")
        asking.recv(16)


@probe
def engine_socket() -> None:
    with socket.socket(socket.AF_UNIX) as engine:
        engine.connect("/var/run/docker.sock")


# --- the kernel ---

simple("keyring", 250, 0, -1, 0)
simple("add_key", 248, b"user", b"probe", b"x", 1, -1)
simple("request_key", 249, b"user", b"probe-none", None, 0)
simple("userfaultfd", 323, 1)
simple("performance_event", 298, (ctypes.c_ubyte * 128)(1, 0, 0, 0, 112), 0, -1, -1, 0)
simple("load_module", 175, b"", 0, b"")
simple("unload_module", 176, b"no_such_module", 0o4000)
simple("kernel_log", 103, 10, None, 0)
simple("set_host_name", 170, b"probe", 5)
simple("reboot", 169, 1, 2, 3, 0)
simple("swap_on", 167, b"/no/such/file", 0)
simple("load_kernel", 246, 0, 0, None, 0xFFFFFFFF)
simple("file_events", 300, 0, 0)
simple("port_privilege", 172, 3)
simple("process_accounting", 163, b"/no/such/file")
simple("persona", 135, 0x0400000)
simple("descriptor_table", 154, 0, (ctypes.c_char * 16)(), 16)
simple("shared_memory_by_number", 29, 0x7072, 4096, 0o1600)
simple("queue_by_number", 68, 0x7072, 0o1600)
simple("semaphore_by_number", 64, 0x7072, 1, 0o1600)
simple("io_uring", 425, 1, (ctypes.c_char * 120)())


@probe
def bpf() -> None:
    # BPF_MAP_CREATE of an array of one: type, key size, value size, entries.
    attributes = (ctypes.c_uint32 * 32)(2, 4, 4, 1)
    call(321, 0, attributes, 128)


@probe
def splice_memory() -> None:
    _reading, writing = os.pipe()
    text = ctypes.create_string_buffer(b"probe")
    call(278, writing, (ctypes.c_ulong * 2)(ctypes.addressof(text), 5), 1, 0)


@probe
def call_as_32_bit() -> None:
    """getpid by int 0x80, whose numbers and arguments are not those that a filter for 64 bits looks at."""
    code = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    code.write(b"\xb8\x14\x00\x00\x00\xcd\x80\xc3")
    function = ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(code)))
    if function() != os.getpid():
        raise OSError(errno.ENOSYS, "no such call")


opening("core_pattern", "/proc/sys/kernel/core_pattern", os.O_WRONLY)
opening("huge_pages", "/sys/kernel/mm/transparent_hugepage/enabled", os.O_WRONLY)


@probe
def read_timers() -> None:
    """Masked, the file is there and empty."""
    with open("/proc/timer_list", "rb") as timers:
        if not timers.read(1):
            raise OSError(errno.ENODATA, "empty")


@probe
def read_keys() -> None:
    with open("/proc/keys", "rb") as keys:
        if not keys.read(1):
            raise OSError(errno.ENODATA, "empty")


@probe
def host_processes() -> None:
    """The name of the host's first process."""
    with open("/proc/1/comm", encoding="ascii") as first:
        if "systemd" not in first.read():
            raise OSError(errno.ESRCH, "not the host's")


@probe
def cgroup_limits() -> None:
    place = next(
        path for path in ("/sys/fs/cgroup/pids/pids.max", "/sys/fs/cgroup/pids.max") if os.path.exists(path)
    )
    os.open(place, os.O_WRONLY)


@probe
def cgroup_of_host() -> None:
    """Where the container is in the host's tree, which names it."""
    with open("/proc/self/cgroup", encoding="ascii") as groups:
        if "docker" not in groups.read():
            raise OSError(errno.ESRCH, "not shown")


def outcome(attempt: Callable[[], object]) -> str:
    """In a process of its own, since an attempt may change it or be its end."""
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        try:
            attempt()
            word = "done"
        except TimeoutError:
            word = "ETIMEDOUT"
        except OSError as error:
            word = errno.errorcode.get(error.errno or 0, str(error))
        except BaseException as error:
            # Said as it is, so that no mistake of a probe passes for a refusal.
            word = repr(error)
        os.write(writing, word.encode())
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as told:
        word = told.read().decode()
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    return signal.Signals(-code).name if code < 0 else word


if __name__ == "__main__":
    DESTINATIONS.update(json.loads(sys.argv[1]))
    print(json.dumps({name: outcome(attempt) for name, attempt in PROBES.items()}))
