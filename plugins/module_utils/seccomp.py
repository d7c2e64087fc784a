# SPDX-License-Identifier: GPL-3.0-or-later
"""The system calls that a container may make: what is not named here is refused.

Names are the kernel's (man 2 syscalls). Arguments are judged as the kernel gets them, 64 bits wide. Source of what is left out, next to
the profiles that engines ship: docs/containers.md, "System calls".
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

# Only the machine's own calling convention: a program for 32 bits would pass the rules on arguments by.
ARCHITECTURES = ("SCMP_ARCH_X86_64", "SCMP_ARCH_AARCH64")

_ENOSYS = 38
# CLONE_NEWNS, _NEWCGROUP, _NEWUTS, _NEWIPC, _NEWUSER, _NEWPID, _NEWNET (linux/sched.h).
_NAMESPACES = 0x7E020000
_S_IFMT, _S_IFIFO = 0o170000, 0o010000
_AF_UNIX, _AF_INET, _AF_INET6, _AF_NETLINK = 1, 2, 10, 16
_NETLINK_ROUTE = 0
# What setarch and debuggers set, address space layout among it, is not for a service: it may ask, and set the default.
_PERSONALITIES = (0x0, 0xFFFFFFFF)

ALLOWED: Mapping[str, tuple[str, ...]] = {
    "files": tuple(
        "access chdir chmod chown close close_range copy_file_range creat dup dup2 dup3 faccessat faccessat2 fadvise64 fallocate fchdir"
        " fchmod fchmodat fchmodat2 fchown fchownat fcntl fdatasync fgetxattr flistxattr flock fremovexattr fsetxattr fstat fstatfs fsync"
        " ftruncate futimesat getcwd getdents getdents64 getxattr inotify_add_watch inotify_init inotify_init1 inotify_rm_watch ioctl"
        " lchown lgetxattr link linkat listxattr llistxattr lremovexattr lseek lsetxattr lstat mkdir mkdirat newfstatat open openat"
        " openat2 pread64 preadv preadv2 pwrite64 pwritev pwritev2 read readahead readlink readlinkat readv removexattr rename renameat"
        " renameat2 rmdir sendfile setxattr splice stat statfs statx symlink symlinkat sync sync_file_range syncfs tee truncate umask"
        " unlink unlinkat utime utimensat utimes write writev".split()
    ),
    "memory": tuple(
        "brk madvise membarrier mincore mlock mlock2 mlockall mmap mprotect mremap mseal msync munlock munlockall munmap"
        " pkey_alloc pkey_free pkey_mprotect".split()
    ),
    "processes": tuple(
        "arch_prctl capget capset execve exit exit_group fork getcpu getegid geteuid getgid getgroups getpgid getpgrp getpid getppid"
        " getpriority getresgid getresuid getrlimit getrusage getsid gettid getuid pidfd_open pidfd_send_signal prctl prlimit64"
        " restart_syscall rseq sched_get_priority_max sched_get_priority_min sched_getaffinity sched_getattr sched_getparam"
        " sched_getscheduler sched_rr_get_interval sched_setaffinity sched_setattr sched_setparam sched_setscheduler sched_yield"
        " set_robust_list set_tid_address setfsgid setfsuid setgid setgroups setpgid setpriority setregid setresgid setresuid setreuid"
        " setrlimit setsid setuid sysinfo times uname vfork wait4 waitid".split()
    ),
    "signals": tuple(
        "kill pause rt_sigaction rt_sigpending rt_sigprocmask rt_sigqueueinfo rt_sigreturn rt_sigsuspend rt_sigtimedwait"
        " rt_tgsigqueueinfo sigaltstack signalfd signalfd4 tgkill tkill".split()
    ),
    "waiting": tuple(
        "epoll_create epoll_create1 epoll_ctl epoll_pwait epoll_pwait2 epoll_wait eventfd eventfd2 futex futex_requeue futex_wait"
        " futex_waitv futex_wake get_robust_list pipe pipe2 poll ppoll pselect6 select".split()
    ),
    "time": tuple(
        "alarm clock_getres clock_gettime clock_nanosleep getitimer gettimeofday nanosleep setitimer time timer_create timer_delete"
        " timer_getoverrun timer_gettime timer_settime timerfd_create timerfd_gettime timerfd_settime".split()
    ),
    "network": tuple(
        "accept accept4 bind connect getpeername getsockname getsockopt listen recvfrom recvmmsg recvmsg sendmmsg sendmsg sendto"
        " setsockopt shutdown socketpair".split()
    ),
    "random numbers": ("getrandom",),
    # A process that gives up powers of its own gives nobody any.
    "confining itself": ("landlock_add_rule", "landlock_create_ruleset", "landlock_restrict_self", "seccomp"),
}


def _when(index: int, value: int, wanted: int | None = None) -> dict[str, Any]:
    """A condition on an argument; masked when it is to have the value `wanted` under the mask `value`."""
    if wanted is None:
        return {"index": index, "value": value, "op": "SCMP_CMP_EQ"}
    return {"index": index, "value": value, "op": "SCMP_CMP_MASKED_EQ", "valueTwo": wanted}


# Calls that are allowed with some arguments only: each line one way in which they are.
CONDITIONAL: Sequence[tuple[tuple[str, ...], tuple[dict[str, Any], ...]]] = (
    (("clone",), (_when(0, _NAMESPACES, wanted=0),)),
    *((("socket",), (_when(0, family),)) for family in (_AF_UNIX, _AF_INET, _AF_INET6)),
    # How a program lists the machine's addresses.
    (("socket",), (_when(0, _AF_NETLINK), _when(2, _NETLINK_ROUTE))),
    *((("personality",), (_when(0, persona),)) for persona in _PERSONALITIES),
    # Named pipes, and no devices.
    (("mknod",), (_when(1, _S_IFMT, wanted=_S_IFIFO),)),
    (("mknodat",), (_when(2, _S_IFMT, wanted=_S_IFIFO),)),
)


# What the kernel has beside that, by why a service is not given it. A name that is nowhere here is no system call.
REFUSED: Mapping[str, tuple[str, ...]] = {
    "a file that runs from memory, past every noexec": ("execveat", "memfd_create", "memfd_secret"),
    "kernel interfaces with a long history of holes that engines allow or allowed": tuple(
        "io_cancel io_destroy io_getevents io_pgetevents io_setup io_submit io_uring_enter io_uring_register io_uring_setup"
        " modify_ldt remap_file_pages userfaultfd vmsplice".split()
    ),
    "other processes": tuple(
        "kcmp map_shadow_stack migrate_pages move_pages pidfd_getfd process_madvise process_mrelease process_vm_readv"
        " process_vm_writev ptrace".split()
    ),
    "shared memory and queues by number, which any process of the same user can find": tuple(
        "mq_getsetattr mq_notify mq_open mq_timedreceive mq_timedsend mq_unlink msgctl msgget msgrcv msgsnd semctl semget semop semtimedop"
        " shmat shmctl shmdt shmget".split()
    ),
    "new namespaces, mounts and roots": tuple(
        "chroot clone3 fsconfig fsmount fsopen fspick listmount mount mount_setattr move_mount open_tree pivot_root setns statmount umount"
        " umount2 unshare".split()
    ),
    "the machine: its modules, keys, clock, names, disks, logs": tuple(
        "_sysctl acct add_key adjtimex bpf clock_adjtime clock_settime create_module delete_module fanotify_init fanotify_mark finit_module"
        " get_kernel_syms init_module ioperm iopl ioprio_get ioprio_set kexec_file_load kexec_load keyctl lookup_dcookie"
        " name_to_handle_at nfsservctl open_by_handle_at perf_event_open query_module quotactl quotactl_fd reboot request_key"
        " sethostname setdomainname settimeofday stime swapoff swapon sysfs syslog uselib ustat vhangup".split()
    ),
    "memory of other processors, a tuner's affair": tuple(
        "cachestat get_mempolicy mbind set_mempolicy set_mempolicy_home_node".split()
    ),
}


# Without these no program is started, so a recorded profile has them too.
_ALWAYS = frozenset(
    "brk close execve exit exit_group fcntl fstat fstatfs futex getdents64 getpid getppid mmap mprotect munmap newfstatat openat prctl"
    " read rt_sigaction rt_sigprocmask rt_sigreturn sched_yield seccomp tgkill write".split()
)


def allowed_names() -> frozenset[str]:
    """Every call that the profile lets through, be it with some arguments only."""
    plain = (name for names in ALLOWED.values() for name in names)
    return frozenset(plain) | {name for names, _conditions in CONDITIONAL for name in names}


def profile(recorded: Iterable[str] | None = None, added: Iterable[str] = ()) -> dict[str, Any]:
    """A profile as engines read it (the format of moby's and containers/common's seccomp.json).

    `recorded`: the names that an application was seen to use; of the profile's own only those stay. `added`: names that are allowed on
    top, with any arguments.
    """
    extra = set(added)
    wanted = allowed_names() if recorded is None else set(recorded) | _ALWAYS
    plain = {name for names in ALLOWED.values() for name in names if name in wanted} | extra
    rules: list[dict[str, Any]] = [{"names": sorted(plain), "action": "SCMP_ACT_ALLOW"}]
    for names, conditions in CONDITIONAL:
        left = [name for name in names if name in wanted and name not in extra]
        if left:
            rules.append(
                {"names": left, "action": "SCMP_ACT_ALLOW", "args": [dict(each) for each in conditions]}
            )
    if "clone3" not in extra:
        # Its flags are behind a pointer, out of a filter's sight; told that there is none, programs use clone.
        rules.append({"names": ["clone3"], "action": "SCMP_ACT_ERRNO", "errnoRet": _ENOSYS})
    return {
        "defaultAction": "SCMP_ACT_ERRNO",
        "architectures": list(ARCHITECTURES),
        "syscalls": rules,
    }


def known_names() -> frozenset[str]:
    """Every system call that there is to allow or refuse."""
    return allowed_names() | {name for names in REFUSED.values() for name in names}


def refused(recorded: Iterable[str]) -> list[str]:
    """Of the names that an application was seen to use, those that the profile refuses, or answers as if they were not there."""
    return sorted(set(recorded) - allowed_names())
