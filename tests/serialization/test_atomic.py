"""Atomic writes where file systems cannot do all that is asked of them."""

import errno
import os

import pytest

from jaxopt_notes.serialization.atomic import make_folder, replacing


def test_a_failed_write_leaves_the_earlier_file_and_nothing_beside_it(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"earlier")

    def write():
        with replacing(path) as file:
            file.write(b"half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        write()
    assert path.read_bytes() == b"earlier"
    assert os.listdir(tmp_path) == ["file"]


@pytest.mark.parametrize("code", [errno.EINVAL, errno.ENOTSUP, errno.EBADF])
def test_what_cannot_be_flushed_is_written_with_a_warning(tmp_path, monkeypatch, code):
    def fail(descriptor):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "fsync", fail)
    path = tmp_path / "file"
    with pytest.warns(UserWarning, match="cannot be flushed to its disk"), replacing(path) as file:
        file.write(b"whole")
    assert (tmp_path / "file").read_bytes() == b"whole"
    assert os.listdir(tmp_path) == ["file"]


def test_a_folder_that_cannot_be_opened_is_not_flushed(tmp_path, monkeypatch):
    """One may be allowed to write in a folder and not to read it."""
    opened = os.open

    def refuse(path, *arguments, **options):
        if os.path.isdir(path):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        return opened(path, *arguments, **options)

    monkeypatch.setattr(os, "open", refuse)
    with (
        pytest.warns(UserWarning, match="cannot be flushed to its disk"),
        replacing(tmp_path / "file") as file,
    ):
        file.write(b"whole")
    assert (tmp_path / "file").read_bytes() == b"whole"


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT, errno.EIO])
def test_what_was_not_written_is_an_error(tmp_path, monkeypatch, code):
    def fail(descriptor):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "fsync", fail)

    def write():
        with replacing(tmp_path / "file") as file:
            file.write(b"half")

    with pytest.raises(OSError, match=os.strerror(code)):
        write()
    assert os.listdir(tmp_path) == []


def test_a_file_in_the_place_of_a_folder_is_named(tmp_path):
    make_folder(tmp_path / "a" / "b")
    (tmp_path / "a" / "file").touch()
    for folder in (tmp_path / "a" / "file", tmp_path / "a" / "file" / "deeper"):
        with pytest.raises(NotADirectoryError, match=r"a/file' is a file, expected a folder"):
            make_folder(folder)
