"""The one exception that the commands turn into a sentence and exit status 2."""


class InputError(ValueError):
    """Something that is the user's to mend, said in one sentence that names the file and line."""
