"""Unpacks a zip of pictures, which a stranger may have sent."""

import lzma
import shutil
import zipfile
import zlib
from pathlib import Path, PurePosixPath

from ensemble.serve.limits import RefusedError
from mire.errors import DataError
from mire.images import resolve_image

MAX_MEMBERS = 100_000


def unpack_pictures(archive: Path, folder: Path, *, max_bytes: int) -> int:
    """Unpack into ``folder``; one folder that holds everything is left out of the names. Returns the files' number.

    Raises:
        RefusedError: no zip, encrypted, a name that leads out of the folder, or more than ``max_bytes`` (422).
    """
    try:
        with zipfile.ZipFile(archive) as opened:
            members = [member for member in opened.infolist() if not member.is_dir()]
            if len(members) > MAX_MEMBERS or sum(member.file_size for member in members) > max_bytes:
                raise RefusedError(422, f"a zip may unpack to {MAX_MEMBERS} files and {max_bytes} bytes")
            top = _common_folder([member.filename for member in members])
            for member in members:
                target = resolve_image(folder, member.filename.removeprefix(top))
                target.parent.mkdir(parents=True, exist_ok=True)
                # Stops at the size that the zip announces: zipfile checks it against what comes out.
                with opened.open(member) as packed, target.open("xb") as file:
                    shutil.copyfileobj(packed, file)
    except FileExistsError as error:
        raise RefusedError(422, "the pictures' zip holds one name twice") from error
    except (zipfile.BadZipFile, RuntimeError, OSError, EOFError, zlib.error, lzma.LZMAError) as error:
        raise RefusedError(422, f"the pictures' zip cannot be unpacked: {error}") from error
    except DataError as error:
        raise RefusedError(422, str(error)) from error
    return len(members)


def _common_folder(names: list[str]) -> str:
    """``"images/"`` where every file lies in ``images``, else nothing."""
    tops = {PurePosixPath(name).parts[0] for name in names if "/" in name}
    return f"{tops.pop()}/" if len(tops) == 1 and all("/" in name for name in names) else ""
