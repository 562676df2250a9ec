"""Unpacks a zip of pictures of unknown origin."""

import logging
import shutil
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from ensemble.serve.limits import RefusedError
from ensemble.serve.questions import check_format
from mire.errors import DataError, shortened
from mire.images import resolve_image
from mire.plain_files import BoundedZip

logger = logging.getLogger(__name__)

MAX_MEMBERS = 100_000
MAX_DEPTH = 16
MAX_PICTURE_BYTES = 32 * 2**20
_PACKED = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
"""Kinds of compression that are unpacked in little memory."""
_SYSTEM_FILES = ("__MACOSX", ".DS_Store", "Thumbs.db", "desktop.ini", "$RECYCLE.BIN")
"""What macOS and Windows put beside a person's files, and in every folder."""
_UTF8_FLAG = 0x800


def unpack_pictures(archive: Path, folder: Path, *, max_bytes: int) -> int:
    """Unpack into ``folder``; one folder that holds everything is left out of the names. Returns the files' number.

    Names are read as zips of macOS and of Windows write them (GBK, backslashes); these systems' own files are left
    out and logged.

    Raises:
        RefusedError: as ``unpacked_bytes``, or a member is broken or encrypted, or its name leads out of the folder.
    """
    with _opened(archive, max_bytes) as opened:
        members = _pictures(opened.infolist())
        top = _common_folder(list(members.values()))
        for member, name in members.items():
            target = resolve_image(folder, name.removeprefix(top))
            target.parent.mkdir(parents=True, exist_ok=True)
            # Stops at the size that the zip announces: zipfile checks it against what comes out.
            with opened.open(member) as packed, target.open("xb") as file:
                shutil.copyfileobj(packed, file)
            _empty_unless_picture(target)
    return len(members)


def _empty_unless_picture(path: Path) -> None:
    """Empty a file that no decoder of the service reads, or a very large one: its sample says that it is unreadable."""
    try:
        if path.stat().st_size > MAX_PICTURE_BYTES:
            raise DataError("too large")
        check_format(path.read_bytes())
    except DataError:
        path.write_bytes(b"")


def unpacked_bytes(archive: Path, *, max_bytes: int) -> int:
    """What the members will take together, as the archive announces it and ``unpack_pictures`` holds it to.

    Raises:
        RefusedError: no zip, more than ``max_bytes``, or too many, too deep or strangely packed members (422).
    """
    with _opened(archive, max_bytes) as opened:
        return _announced(opened)


@contextmanager
def _opened(archive: Path, max_bytes: int) -> Iterator[zipfile.ZipFile]:
    try:
        with BoundedZip(archive) as file, zipfile.ZipFile(file) as opened:
            members = opened.infolist()
            if len(members) > MAX_MEMBERS or _announced(opened) > max_bytes:
                raise RefusedError(422, f"a zip may unpack to {MAX_MEMBERS} files and {max_bytes} bytes")
            if any(member.compress_type not in _PACKED for member in members):
                raise RefusedError(422, "a zip's files must be stored or deflated; pack it with the usual settings")
            if any(member.filename.count("/") + member.filename.count("\\") > MAX_DEPTH for member in members):
                raise RefusedError(422, f"a zip's folders may lie {MAX_DEPTH} deep")
            yield opened
    except FileExistsError as error:
        raise RefusedError(422, "the pictures' zip holds one name twice") from error
    except (zipfile.BadZipFile, RuntimeError, OSError, EOFError, zlib.error) as error:
        reason = getattr(error, "strerror", None) or error  # an OSError names the server's folders
        raise RefusedError(422, f"the pictures' zip cannot be unpacked: {reason}") from error
    except DataError as error:
        raise RefusedError(422, str(error)) from error


def _announced(opened: zipfile.ZipFile) -> int:
    return sum(member.file_size for member in opened.infolist())


def _pictures(members: list[zipfile.ZipInfo]) -> dict[zipfile.ZipInfo, str]:
    """The members that are a person's files, and their names."""
    named = {member: name for member in members if not (name := member_name(member)).endswith("/")}
    unused = [name for name in named.values() if _is_system_file(name)]
    if unused:
        logger.info(f"{len(unused)} files of the zip are its system's own and not used: {shortened(', '.join(unused))}")
    return {member: name for member, name in named.items() if not _is_system_file(name)}


def _is_system_file(name: str) -> bool:
    parts = PurePosixPath(name).parts
    return any(part in _SYSTEM_FILES for part in parts) or parts[-1].startswith("._")


def member_name(member: zipfile.ZipInfo) -> str:
    """A member's name with slashes; one that is not marked as UTF-8 is read as UTF-8, else GBK, else as it stands."""
    raw = member.filename if member.flag_bits & _UTF8_FLAG else _decoded(member)
    return raw.replace("\\", "/")


def _decoded(member: zipfile.ZipInfo) -> str:
    try:
        content = member.filename.encode("cp437")  # as zipfile decoded it
    except UnicodeEncodeError:  # from the extra field
        return member.filename
    for encoding in ("utf-8", "gb18030"):
        try:
            return content.decode(encoding)
        except UnicodeDecodeError:
            continue
    return member.filename


def _common_folder(names: list[str]) -> str:
    """``"images/"`` where every file lies in ``images``, else nothing."""
    tops = {PurePosixPath(name).parts[0] for name in names if "/" in name}
    return f"{tops.pop()}/" if len(tops) == 1 and all("/" in name for name in names) else ""
