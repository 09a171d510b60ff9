"""Reading `/proc`: parsers, kept files, threads, identities and limits."""

import os
import subprocess
from pathlib import Path

import psutil
import pytest
from host_tools import KERNEL_THREAD, Facts, FakeProc, LimitedReader, io_text
from hypothesis import example, given
from hypothesis import strategies as st

from rnts.host_identity import Machine, printable
from rnts.host_limits import Limits
from rnts.host_proc import (
    InputOutput,
    ProcFile,
    ProcReader,
    Unreadable,
    parse_io,
    parse_schedstat,
    parse_stat,
)
from rnts.host_threads import Threads


@pytest.fixture
def proc(tmp_path: Path) -> FakeProc:
    """A `/proc` of files."""
    return FakeProc(tmp_path)


def unreadable(read: object, *arguments: object) -> str:
    """The reason with which a read fails."""
    with pytest.raises(Unreadable) as caught:
        read(*arguments)  # type: ignore[operator]
    return caught.value.reason


@given(
    comm=st.binary(max_size=64),
    state=st.sampled_from("RSDZTtXIP"),
    numbers=st.lists(st.integers(0, 2**63 - 1), min_size=7, max_size=7),
)
@example(comm=b") R 1 (", state="S", numbers=[1] * 7)
@example(comm=b"a\n) Z 0 0 (b c", state="D", numbers=[2] * 7)
def test_stat_is_parsed_whatever_the_name(comm: bytes, state: str, numbers: list[int]) -> None:
    """Spaces, parentheses and line ends in a name shift no field."""
    facts = Facts(comm, state, 0, *numbers)
    stat = parse_stat(facts.stat(7))
    assert (stat.comm, stat.state, stat.is_kernel) == (comm, state, False)
    assert (stat.minor_faults, stat.major_faults, stat.cpu_ticks) == tuple(numbers[:3])
    assert (stat.threads, stat.start_ticks, stat.resident_pages) == tuple(numbers[3:6])
    assert stat.wait_status == (numbers[6] if state == "Z" else 0)


@given(st.binary(max_size=400))
def test_foreign_bytes_are_malformed_or_parsed(raw: bytes) -> None:
    """No bytes make a parser raise anything but Unreadable."""
    for parse in (parse_stat, parse_io, parse_schedstat):
        try:
            parse(raw)
        except Unreadable as error:
            assert error.reason == "malformed"


@pytest.mark.parametrize("cut", range(0, 50, 7))
def test_a_cut_stat_is_malformed(cut: int) -> None:
    """A file that ends too soon is refused, not half read."""
    assert unreadable(parse_stat, Facts().stat(7)[:cut]) == "malformed"


@pytest.mark.parametrize("raw", [b"7 (work) 12 0", b"7 (work)", b"7 work S 0", b"7 ) S 0 (", b""])
def test_a_foreign_stat_is_malformed(raw: bytes) -> None:
    """Without a name in parentheses and a state of one letter it is no `stat`."""
    assert unreadable(parse_stat, raw) == "malformed"


def test_a_kernel_worker_keeps_its_name() -> None:
    """What a worker works at is not a part of its name; a user's program may be called so."""
    busy = Facts(b"kworker/1:2-events_power", flags=KERNEL_THREAD)
    assert parse_stat(busy.stat(7)).comm == b"kworker/1:2"
    assert parse_stat(Facts(b"kworker/R-netns", flags=KERNEL_THREAD).stat(7)).comm.endswith(
        b"netns"
    )
    assert parse_stat(Facts(b"kworker/1:2-mine").stat(7)).comm == b"kworker/1:2-mine"


def test_io_keeps_bytes_and_calls_apart() -> None:
    """The four counters are told by their names, not only by their places."""
    assert parse_io(io_text((1, 2, 3, 4)).encode()) == InputOutput(1, 2, 3, 4)
    assert unreadable(parse_io, io_text((1, 2, 3, 4)).replace("wchar", "xchar").encode())


def test_stat_agrees_with_psutil() -> None:
    """For this very process the fields are those that psutil finds."""
    stat, process = parse_stat(ProcReader().read(f"{os.getpid()}/stat")), psutil.Process()
    start_s = stat.start_ticks / os.sysconf("SC_CLK_TCK")
    assert start_s == pytest.approx(process.create_time() - psutil.boot_time(), abs=2)
    assert stat.comm.decode() == process.name()[:15]
    assert stat.threads == process.num_threads()
    assert not stat.is_kernel


def test_failures_have_names(proc: FakeProc) -> None:
    """Missing, forbidden, and anything else are told apart."""
    reader = LimitedReader(proc.root)
    reader.refuses = {"io": PermissionError(), "stat": OSError(24, "too many open files")}
    proc.put(5, Facts())
    assert unreadable(reader.read, "5/missing") == "vanished"
    assert unreadable(reader.read, "5/stat/deeper") == "failed"
    assert unreadable(reader.read, "5/io") == "forbidden"
    assert unreadable(reader.link, "5/fd/9") == "vanished"
    assert unreadable(reader.names, "9/fd") == "vanished"
    assert unreadable(reader.read_lines, "9/net/tcp") == "vanished"


def test_kept_files_are_limited_and_read_anew(proc: FakeProc) -> None:
    """A kept file shows what it holds now; beyond the limit, files are opened each time."""
    reader = LimitedReader(proc.root, kept_max=1)
    proc.put(5, Facts())
    first, second = ProcFile(reader, "5/stat"), ProcFile(reader, "5/io")
    first.keep()
    second.keep()
    first.keep()
    assert reader.kept == 1
    reader.reads.clear()
    proc.put(5, Facts(minor_faults=77, io=(5, 0, 0, 0)))
    assert parse_stat(first.read()).minor_faults == 77
    assert parse_io(second.read()).read_bytes == 5
    assert reader.reads == ["5/io"]
    first.close()
    first.close()
    assert reader.kept == 0
    second.keep()
    assert reader.kept == 1
    second.close()


def test_a_kept_file_of_an_ended_process_has_vanished() -> None:
    """The real `/proc` refuses a file that was opened before its process ended."""
    with subprocess.Popen(["sleep", "60"]) as child:
        file = ProcFile(ProcReader(), f"{child.pid}/stat")
        file.keep()
        assert parse_stat(file.read()).threads == 1
        child.kill()
    assert unreadable(file.read) == "vanished"
    file.close()


def test_one_thread_is_read_from_its_file(proc: FakeProc) -> None:
    """The totals of a process with one thread are those of its file."""
    proc.put(5, Facts(schedstat=(10, 20, 30)))
    assert Threads(ProcReader(proc.root), 5).read(1) == (30, 10, 20)


def test_threads_are_added_up_and_never_fall(proc: FakeProc) -> None:
    """Ended threads keep their share; a new thread with an old number counts from zero."""
    threads = Threads(ProcReader(proc.root), 5)
    proc.put(5, Facts(schedstat=(1, 1, 10), tasks={5: (1, 1, 10), 6: (100, 10, 50)}))
    assert threads.read(2) == (60, 101, 11)
    proc.put(5, Facts(schedstat=(2, 1, 11), tasks={5: (2, 1, 11), 6: (150, 12, 70)}))
    assert threads.read(2) == (81, 152, 13)
    proc.put(5, Facts(schedstat=(2, 1, 12), tasks={5: (2, 1, 12), 6: (5, 5, 5)}))
    assert threads.read(2) == (87, 157, 18)
    proc.put(5, Facts(schedstat=(3, 1, 13)))
    assert threads.read(1) == (88, 158, 18)


def test_a_thread_that_ends_during_the_look_is_left_out(proc: FakeProc) -> None:
    """A thread that is listed but gone does not spoil the others."""
    proc.put(5, Facts(schedstat=(1, 1, 10), tasks={5: (1, 1, 10), 6: (1, 1, 1), 7: (2, 2, 2)}))
    (proc.root / "5/task/6/schedstat").unlink()
    assert Threads(ProcReader(proc.root), 5).read(3) == (12, 3, 3)
    (proc.root / "5/task/7/schedstat").write_text("a b c")
    assert unreadable(Threads(ProcReader(proc.root), 5).read, 3) == "malformed"


def test_without_schedstat_switches_are_counted(proc: FakeProc) -> None:
    """A kernel without run-queue statistics still tells context switches, and no times."""
    for schedstat in (None, (0, 0, 0)):
        proc.put(5, Facts(schedstat=schedstat, switches=(3, 4)))
        assert Threads(ProcReader(proc.root), 5).read(1) == (7, None, None)
    proc.put(6, Facts(switches=(10, 10)))
    proc.put(5, Facts(schedstat=None, switches=(3, 4), tasks={5: (0, 0, 0), 6: (0, 0, 0)}))
    (proc.root / "5/task/6/status").write_bytes((proc.root / "6/status").read_bytes())
    assert Threads(ProcReader(proc.root), 5).read(2) == (27, None, None)
    (proc.root / "5/status").write_text("voluntary_ctxt_switches:\n")
    assert unreadable(Threads(ProcReader(proc.root), 5).read, 1) == "malformed"
    proc.put(5, Facts(schedstat=(0, 0, 0), switches=(0, 0)))
    threads = Threads(ProcReader(proc.root), 5)
    assert threads.read(1) == (0, 0, 0)  # it has not run yet, which says nothing of the kernel
    proc.put(5, Facts(schedstat=(9, 8, 7)))
    assert threads.read(1) == (7, 9, 8)


def test_ids_differ_by_start_and_boot(proc: FakeProc) -> None:
    """A number that is used again has another id; so has the same process after a boot."""
    machine = Machine(ProcReader(proc.root))
    ids = {machine.neuron_id(5, 100), machine.neuron_id(5, 101), machine.neuron_id(6, 100)}
    assert machine.neuron_id(5, 100) in ids
    (proc.root / "sys/kernel/random/boot_id").write_text("another\n")
    ids.add(Machine(ProcReader(proc.root)).neuron_id(5, 100))
    (proc.root / "sys/kernel/random/boot_id").unlink()
    ids.add(Machine(ProcReader(proc.root)).neuron_id(5, 100))
    assert len(ids) == 5
    assert all(0 < neuron_id < 1 << 64 for neuron_id in ids)


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        (Facts(b"nginx", uid=54321), ("nginx[5]", "nginx", "54321", "nginx")),
        (Facts(b"init", uid=0), ("init[5]", "init", "root", "init")),
        (Facts(b"kswapd0", flags=KERNEL_THREAD), ("kswapd0[5]", "kernel", "kernel", "kswapd0")),
        (Facts(b"(a) b", uid=0), ("(a) b[5]", "(a) b", "root", "(a) b")),
        (Facts(b"a\x1b[2J\xff", uid=0), ("a�[2J�[5]", "a�[2J�", "root", "a�[2J�")),
        (
            Facts(b"a-long-program-", cmdline=b"/opt/a-long-program-name\0--password=x\0", uid=0),
            ("a-long-program-name[5]", "a-long-program-name", "root", "/opt/a-long-program-name"),
        ),
        (
            Facts(b"python3", cmdline=b"python3\0serve.py\0--token\0secret\0", uid=0),
            ("python3[5]", "python3", "root", "python3 serve.py"),
        ),
        (
            Facts(b"curl", cmdline=b"curl\0http://user:secret@host\0", uid=0),
            ("curl[5]", "curl", "root", "curl"),
        ),
    ],
)
def test_identities(proc: FakeProc, facts: Facts, expected: tuple[str, ...]) -> None:
    """Name, group, role and trigger; no secrets of a command line, no control characters."""
    proc.put(5, facts)
    assert Machine(ProcReader(proc.root)).identify(5, parse_stat(facts.stat(5))) == expected


def test_long_names_fit(proc: FakeProc) -> None:
    """Whatever a program is called, its name keeps to the 255 bytes that a neuron's may have."""
    whole = "\N{MUSICAL SYMBOL G CLEF}" * 90
    facts = Facts(whole.encode()[:15], cmdline=whole.encode() + b"\0")
    proc.put(5, facts)
    reader = ProcReader(proc.root)
    identity = Machine(reader).identify(5, parse_stat(facts.stat(5)))
    assert all(len(text.encode()) <= 255 for text in identity[:3])


def test_identity_without_user_is_malformed(proc: FakeProc) -> None:
    """A `status` without a user is no `status`; a forbidden command line is done without."""
    proc.put(5, Facts(cmdline=b"/bin/work\0", uid=0))
    reader = LimitedReader(proc.root)
    stat = parse_stat(Facts().stat(5))
    reader.refuses = {"cmdline": PermissionError()}
    assert Machine(reader).identify(5, stat).trigger == "work"
    reader.refuses = {"cmdline": OSError(5, "input/output error")}
    assert unreadable(Machine(reader).identify, 5, stat) == "failed"
    (proc.root / "5/status").write_text("Name: x\n")
    assert unreadable(Machine(ProcReader(proc.root)).identify, 5, stat) == "malformed"


@given(st.binary(max_size=40))
def test_printable_text_is_printable(raw: bytes) -> None:
    """Whatever a stranger writes, a screen can show it."""
    assert all(character.isprintable() for character in printable(raw))


def test_memory_limits_of_groups(proc: FakeProc) -> None:
    """The smallest limit on the way up counts, in both versions; none is None."""
    limits = Limits(ProcReader(proc.root), proc.groups)
    for path, limit in (("a/b", "max"), ("a", "1000"), ("a/b/c", "5000")):
        (proc.groups / path).mkdir(parents=True, exist_ok=True)
        (proc.groups / path / "memory.max").write_text(f"{limit}\n")
    (proc.groups / "memory/v1").mkdir(parents=True)
    (proc.groups / "memory/v1/memory.limit_in_bytes").write_text("700\n")
    (proc.groups / "memory/memory.limit_in_bytes").write_text("9223372036854771712\n")
    found = []
    for cgroup in ("0::/a/b/c\n", "0::/z\n", "4:cpu,memory:/v1\n0::/\n", "4:memory:/\n", "x\n", ""):
        proc.put(5, Facts(cgroup=cgroup))
        found.append(limits.memory_bytes(5))
    assert found == [1000, None, 700, None, None, None]
    limits.renew()
    proc.put(5, Facts(cgroup="0::/a\n"))
    assert limits.memory_bytes(5) == 1000
    (proc.groups / "a/memory.max").write_text("20\n")
    assert limits.memory_bytes(5) == 1000
    limits.renew()
    assert limits.memory_bytes(5) == 20


def test_limits_of_open_files(proc: FakeProc) -> None:
    """The soft limit; none where there is none or it is hidden; a foreign file is malformed."""
    reader = LimitedReader(proc.root)
    limits = Limits(reader, proc.groups)
    proc.put(5, Facts(files_max="64"))
    assert limits.descriptors(5) == 64
    proc.put(5, Facts(files_max="unlimited"))
    assert limits.descriptors(5) is None
    (proc.root / "5/limits").write_text("nothing\n")
    assert unreadable(limits.descriptors, 5) == "malformed"
    reader.refuses = {"limits": PermissionError(), "cgroup": PermissionError()}
    assert limits.descriptors(5) is None
    assert limits.memory_bytes(5) is None
    proc.remove(5)
    reader.refuses = {}
    assert unreadable(limits.descriptors, 5) == unreadable(limits.memory_bytes, 5) == "vanished"
