"""A program that closes all of its files, as daemons do: what is its own stays its own."""

from pathlib import Path

from capture_tools import producing, run_python

CLOSED = """
    import os, sys, threading
    import rnts

    neuron = rnts.neuron("before")
    assert neuron.record(queue_depth=1)
    segment = rnts.producer.PROCESS.segment()
    os.closerange(3, 64)
    files = [open(sys.argv[1] + str(i), "w+") for i in range(4)]  # with the numbers of ours
    for file in files:
        file.write("mine")
        file.flush()
"""


def sizes(folder: Path) -> list[int]:
    """How large the program's files are."""
    return [path.stat().st_size for path in sorted(folder.glob("file*"))]


def test_names_and_lanes_are_written_to_no_file_of_the_program(
    runtime_folder: Path, tmp_path: Path
) -> None:
    """A name told later and a lane for another thread go to the segment, which is opened again."""
    run = run_python(
        CLOSED
        + """
    assert rnts.neuron("later").record(queue_depth=2)
    thread = threading.Thread(target=lambda: print(neuron.record(queue_depth=3)))
    thread.start()
    thread.join()
    from test_producer import names_in
    print([name for _, name in names_in(segment)])
    """,
        str(tmp_path / "file"),
    )
    assert run.stdout == "True\n['before', 'later']\n", run.stderr
    assert sizes(tmp_path) == [4, 4, 4, 4]


def test_a_child_finds_its_files_open(runtime_folder: Path, tmp_path: Path) -> None:
    """Neither a fork nor the end closes a file that has the number of one of ours."""
    run = run_python(
        CLOSED
        + """
    child = os.fork()
    if not child:
        assert neuron.record(queue_depth=4)
    for file in files:
        file.write("more")  # which only the end writes to the file
    rnts.producer.PROCESS.close()
    for file in files:
        file.close()
    if child:
        os.waitpid(child, 0)
        sys.stdout.write("parent ")
    """,
        str(tmp_path / "file"),
    )
    assert (run.stdout, run.stderr) == ("parent ", "")
    assert sizes(tmp_path) == [12, 12, 12, 12]


def test_without_its_file_a_name_is_counted(runtime_folder: Path) -> None:
    """Where the file is gone, too, records go on, and what cannot be told is counted."""
    run = run_python("""
        import os
        import rnts
        from rnts import layout

        neuron = rnts.neuron("before")
        assert neuron.record(queue_depth=1)
        segment = rnts.producer.PROCESS.segment()
        segment.unlink()
        os.close(segment.descriptor)
        print(rnts.neuron("later").record(queue_depth=2))
        print(segment.words[layout.HEADER_NAMES_REFUSED // 8])
    """)
    assert run.stdout == "True\n1\n", run.stderr


def test_a_segment_knows_its_own_file() -> None:
    """As long as nobody has closed it, its descriptor stays what it is."""
    with producing() as (_, segment):
        assert not segment.is_taken()
        assert segment.file() == segment.descriptor
