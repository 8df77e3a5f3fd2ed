"""The lab's files on this computer."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from lab import host


def test_threads_that_write_one_file_do_not_disturb_each_other(tmp_path: Path) -> None:
    file = tmp_path / "overrides.json"
    texts = [str(number) * 1000 for number in range(8)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda text: host.replace(file, text), texts * 50))
    assert file.read_text() in texts
    assert list(tmp_path.iterdir()) == [file]
    assert file.stat().st_mode & 0o777 == 0o644
