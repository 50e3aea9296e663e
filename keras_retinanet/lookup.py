"""Choices by name, with arguments: what a literal dict such as `LOSSES` is asked for."""


def lookup(choices, config, what):
    """(the entry of `choices`, its arguments) of a name or a {"name": ..., **arguments}.

    A ValueError that says `what` was expected lists the known names where there is no such one.
    """
    arguments = {"name": config} if isinstance(config, str) else dict(config)
    name = arguments.pop("name")
    if name not in choices:
        raise ValueError(f"Expected {what} among {sorted(choices)}. Received: {name!r}.")
    return choices[name], arguments
