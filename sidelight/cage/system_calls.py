"""The system calls of a caged reader, by architecture.

Source: the kernel's arch/x86/entry/syscalls/syscall_64.tbl and include/uapi/asm-generic/unistd.h
(aarch64). A call that an architecture does not have is left out of its table.
"""

from __future__ import annotations

from typing import Final, NamedTuple


class Architecture(NamedTuple):
    """`audit` is AUDIT_ARCH_…; the others are the calls' numbers by name."""

    audit: int
    numbers: dict[str, int]


# What Python needs to compute, to allocate, to use its open channel, and to end.
ALLOWED: Final = (
    "read", "write", "sendto", "recvfrom", "close", "mmap", "mprotect", "munmap", "mremap", "brk",
    "madvise", "futex", "sched_yield", "restart_syscall", "rt_sigaction", "rt_sigprocmask",
    "rt_sigreturn", "sigaltstack", "clock_gettime", "clock_getres", "clock_nanosleep", "nanosleep",
    "gettimeofday", "time", "getrandom", "getpid", "gettid", "getuid", "geteuid", "getgid",
    "getegid", "getrusage", "getcpu", "sched_getaffinity", "rseq", "set_robust_list",
    "get_robust_list", "membarrier", "exit", "exit_group",
)  # fmt: skip
# No parser makes one of these by accident: the process is killed. All others fail with EPERM.
DEADLY: Final = (
    "socket", "socketpair", "connect", "bind", "listen", "accept", "accept4", "clone", "clone3",
    "fork", "vfork", "execve", "execveat", "ptrace", "process_vm_readv", "process_vm_writev",
    "kill", "pidfd_open", "pidfd_send_signal", "pidfd_getfd", "rt_sigqueueinfo",
    "rt_tgsigqueueinfo", "tkill", "unshare", "setns", "mount", "umount2", "pivot_root", "chroot",
    "fsopen", "open_tree", "bpf", "perf_event_open", "io_uring_setup", "userfaultfd", "keyctl",
    "add_key", "request_key", "init_module", "finit_module", "delete_module", "kexec_load",
    "reboot", "swapon", "seccomp", "memfd_create", "open_by_handle_at", "quotactl",
)  # fmt: skip
_PROT_EXEC: Final = 4
_MAP_SHARED: Final = 1
_MSG_WAITALL: Final = 0x100
_ALL_FLAGS: Final = 0xFFFFFFFF
# Allowed, but with none of these bits in the third or fourth argument. No code is added to the
# process. No mapping is shared: the limit of memory does not count it. The channel is used as
# Python uses it: flags such as MSG_OOB reach parts of the kernel that nothing here needs, and that
# had a fault which led out of a sandbox (CVE-2025-38236).
REFUSED_BITS: Final = {
    "mmap": ((3, _PROT_EXEC), (4, _MAP_SHARED)),
    "mprotect": ((3, _PROT_EXEC),),
    "sendto": ((4, _ALL_FLAGS),),
    "recvfrom": ((4, _ALL_FLAGS ^ _MSG_WAITALL),),
}

_X86_64: Final = {
    "read": 0, "write": 1, "close": 3, "mmap": 9, "mprotect": 10, "munmap": 11, "brk": 12,
    "rt_sigaction": 13, "rt_sigprocmask": 14, "rt_sigreturn": 15, "sched_yield": 24, "mremap": 25,
    "madvise": 28, "nanosleep": 35, "getpid": 39, "socket": 41, "connect": 42, "accept": 43,
    "sendto": 44, "recvfrom": 45, "bind": 49, "listen": 50, "socketpair": 53, "clone": 56,
    "fork": 57, "vfork": 58, "execve": 59, "exit": 60, "kill": 62, "gettimeofday": 96,
    "getrusage": 98, "ptrace": 101, "getuid": 102, "getgid": 104, "geteuid": 107, "getegid": 108,
    "rt_sigqueueinfo": 129, "sigaltstack": 131, "pivot_root": 155, "chroot": 161, "mount": 165,
    "umount2": 166, "swapon": 167, "reboot": 169, "init_module": 175, "delete_module": 176,
    "quotactl": 179, "gettid": 186, "tkill": 200, "time": 201, "futex": 202,
    "sched_getaffinity": 204, "restart_syscall": 219, "clock_gettime": 228, "clock_getres": 229,
    "clock_nanosleep": 230, "exit_group": 231, "kexec_load": 246, "add_key": 248,
    "request_key": 249, "keyctl": 250, "unshare": 272, "set_robust_list": 273,
    "get_robust_list": 274, "accept4": 288, "rt_tgsigqueueinfo": 297, "perf_event_open": 298,
    "open_by_handle_at": 304, "setns": 308, "getcpu": 309, "process_vm_readv": 310,
    "process_vm_writev": 311, "finit_module": 313, "seccomp": 317, "getrandom": 318,
    "memfd_create": 319, "bpf": 321, "execveat": 322, "userfaultfd": 323, "membarrier": 324,
    "rseq": 334, "pidfd_send_signal": 424, "io_uring_setup": 425, "open_tree": 428, "fsopen": 430,
    "pidfd_open": 434, "clone3": 435, "pidfd_getfd": 438,
}  # fmt: skip
_AARCH64: Final = {
    "umount2": 39, "mount": 40, "pivot_root": 41, "chroot": 51, "close": 57, "quotactl": 60,
    "read": 63, "write": 64, "exit": 93, "exit_group": 94, "unshare": 97, "futex": 98,
    "set_robust_list": 99, "get_robust_list": 100, "nanosleep": 101, "kexec_load": 104,
    "init_module": 105, "delete_module": 106, "clock_gettime": 113, "clock_getres": 114,
    "clock_nanosleep": 115, "ptrace": 117, "sched_getaffinity": 123, "sched_yield": 124,
    "restart_syscall": 128, "kill": 129, "tkill": 130, "sigaltstack": 132, "rt_sigaction": 134,
    "rt_sigprocmask": 135, "rt_sigqueueinfo": 138, "rt_sigreturn": 139, "reboot": 142,
    "getrusage": 165, "getcpu": 168, "gettimeofday": 169, "getpid": 172, "getuid": 174,
    "geteuid": 175, "getgid": 176, "getegid": 177, "gettid": 178, "socket": 198,
    "socketpair": 199, "bind": 200, "listen": 201, "accept": 202, "connect": 203, "sendto": 206,
    "recvfrom": 207, "brk": 214, "munmap": 215, "mremap": 216, "add_key": 217, "request_key": 218,
    "keyctl": 219, "clone": 220, "execve": 221, "mmap": 222, "swapon": 224, "mprotect": 226,
    "madvise": 233, "rt_tgsigqueueinfo": 240, "perf_event_open": 241, "accept4": 242,
    "open_by_handle_at": 265, "setns": 268, "process_vm_readv": 270, "process_vm_writev": 271,
    "finit_module": 273, "seccomp": 277, "getrandom": 278, "memfd_create": 279, "bpf": 280,
    "execveat": 281, "userfaultfd": 282, "membarrier": 283, "rseq": 293, "pidfd_send_signal": 424,
    "io_uring_setup": 425, "open_tree": 428, "fsopen": 430, "pidfd_open": 434, "clone3": 435,
    "pidfd_getfd": 438,
}  # fmt: skip

# By `platform.machine()`. The audit constants are of include/uapi/linux/audit.h.
ARCHITECTURES: Final = {
    "x86_64": Architecture(0xC000003E, _X86_64),
    "aarch64": Architecture(0xC00000B7, _AARCH64),
}
