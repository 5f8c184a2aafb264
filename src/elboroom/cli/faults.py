"""From an exception to an exit code and one sentence: the last door before the user.

What elboroom raises on purpose carries both. What the system raises (no room, no rights, no memory, a missing extra) is
put into words here. All else is a fault of ours: exit 1, and a log with the traceback.
"""

from __future__ import annotations

import errno
import os
import platform
import shlex
import tempfile
import traceback
from dataclasses import dataclass

from elboroom.core.errors import ElboroomError

__all__ = ["EXTRAS", "Fault", "explain"]

EXTRAS = {
    "pandas": "data",
    "pyarrow": "data",
    "polars": "data",
    "anndata": "bio",
    "h5py": "bio",
    "onnx": "onnx",
    "onnxscript": "onnx",
    "onnxruntime": "onnx",
    "tokenizers": "text",
}
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_USERS_FILE = (
    errno.EACCES,
    errno.EPERM,
    errno.ENOENT,
    errno.ENOTDIR,
    errno.EISDIR,
    errno.EEXIST,
    errno.EROFS,
    errno.ENAMETOOLONG,
    errno.ELOOP,
    errno.EINVAL,
)
_NO_MEMORY = ("can't allocate memory", "out of memory", "not enough memory")


@dataclass(frozen=True)
class Fault:
    """What the command line says and returns."""

    code: int
    message: str


def explain(error: BaseException, call: list[str]) -> Fault:
    """The exit code and the sentence for any exception; writes a log where the fault is ours."""
    if isinstance(error, ElboroomError):
        return Fault(error.exit_code, str(error))
    if isinstance(error, KeyboardInterrupt):
        return Fault(130, "interrupted; nothing was half-written")
    if isinstance(error, OSError) and error.errno in _NO_ROOM:
        where = f" at {error.filename}" if error.filename else ""
        return Fault(4, f"no room left on the disk{where}; nothing was half-written: make room and repeat the call")
    if isinstance(error, OSError) and error.errno in _USERS_FILE and error.filename is not None:
        said = (error.strerror or "cannot be used").lower()
        return Fault(2, f"{error.filename}: {said}; name another file or folder")
    if isinstance(error, MemoryError) or any(text in str(error).lower() for text in _NO_MEMORY):
        return Fault(4, "not enough memory; a smaller --batch-size, smaller data or a machine with more memory may do")
    if isinstance(error, ModuleNotFoundError) and (error.name or "").split(".")[0] in EXTRAS:
        module = (error.name or "").split(".")[0]
        return Fault(3, f'this needs {module}: pip install "elboroom[{EXTRAS[module]}]"')
    what = f"{type(error).__name__}: {error}"[:300]
    return Fault(1, f"a fault of ours: {what}; {_log(error, call)}")


def _log(error: BaseException, call: list[str]) -> str:
    text = "\n".join(
        [
            f"elboroom {' '.join(shlex.quote(word) for word in call)}",
            f"Python {platform.python_version()} on {platform.platform()}",
            "",
            "".join(traceback.format_exception(error)),
        ]
    )
    try:
        handle, path = tempfile.mkstemp(prefix="elboroom-", suffix=".log")
        with os.fdopen(handle, "w", encoding="utf-8", errors="backslashreplace") as file:
            file.write(text)
    except OSError:
        return "no log could be written: repeat the call with --debug"
    return f"the log is {path}"
