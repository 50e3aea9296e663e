"""The one exception that the commands turn into a sentence and exit status 2."""

import contextlib


class InputError(ValueError):
    """Something that is the user's to mend, said in one sentence that names the file and line."""


@contextlib.contextmanager
def collect(faults):
    """Within it an InputError ends the block and becomes a line of the list `faults`; where that is
    None it is raised.
    """
    try:
        yield
    except InputError as error:
        if faults is None:
            raise
        faults.append(str(error))
