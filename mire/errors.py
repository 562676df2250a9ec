"""Errors that end a command with one clear line: the rule, the value, the file and the next step."""


class MireError(Exception):
    """Base of every error that a user can fix; commands print it without a traceback, exit code 1."""


class DataError(MireError):
    """A data file, a picture folder or a submission breaks its format."""


class SettingsError(MireError):
    """A configuration or a taxonomy breaks its format, or asks for something impossible."""


class PanelError(MireError):
    """A panel, an adapter or a cache folder does not fit what it is used with."""


class BudgetError(MireError):
    """A rule of the challenge (calls, output tokens, parameters) would be broken."""


class WorkerError(MireError):
    """Worker processes died too often."""


class JournalError(MireError):
    """A journal or a cache is used by another process, cannot be written, or is damaged."""


class UsageError(MireError):
    """Options of a command that contradict each other, or a value out of range; exit code 2."""
