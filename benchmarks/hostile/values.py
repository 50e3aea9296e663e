"""Extreme values, as they are written in a file or on a command line."""

LONG = 5_000  # characters
DEEP = 3_000  # levels
SHARED = 25  # levels of a value that uses itself twice at each

# what ends up in messages: controls, NUL, a lone surrogate, a right-to-left mark, long text
TEXTS = (
    "",
    " ",
    "\0",
    "a\0b",
    "\ud800",
    "\x1b[31mred",
    "one\ntwo",
    "tab\tand\r",
    "\u202egnp.exe",
    "猫 ñandú 🦆",
    "A" * LONG,
    "../../../evil",
    "/etc/hostname",
    "C:\\a\\b.jpg",
    "%2e%2e/%00",
    "a/" * 500,
    "x" * 300 + ".jpg",
    "null",
    "true",
    "1_0",
    "٣",
    "0x10",
    "1e5",
    "nan",
    "{0} %s %(x)s",
    "=cmd|' /C calc'!A0",
)

NUMBERS = (
    "0",
    "-0.0",
    "-1",
    "1.5",
    "1e308",
    "1e999",
    "-1e999",
    "NaN",
    "Infinity",
    "-Infinity",
    "9" * 20,
    "9" * 400,
    "9" * LONG,
    "2147483648",
    "9223372036854775808",
    "1e-320",
    "0." + "3" * LONG,
    "1000000000",
)

JSON = (  # raw JSON, of values that are neither text nor number
    "null",
    "true",
    "false",
    "[]",
    "{}",
    "[null]",
    "[[]]",
    '{"a": 1, "a": 2}',
    '{"": {}}',
    "[1, 2, 3, 4]",
    '["1", "2", "3", "4"]',
    "[true, true, 5, 6]",
    "[NaN, Infinity, 0, 1]",
    "[" * DEEP + "]" * DEEP,
    '{"a":' * DEEP + "1" + "}" * DEEP,
    "[" + "0," * LONG + "0]",
    "[" + '"A",' * LONG + '"A"]',
    '"\\ud800"',
    '"\\u0000"',
)


def aliases(levels: int) -> str:
    """Return a flow mapping of YAML with 2 ** levels leaves: each value is the one before twice."""
    rows = [f"v{i}: &v{i} [*v{i - 1}, *v{i - 1}]" for i in range(1, levels)]
    return "{v0: &v0 [x, y], " + ", ".join(rows) + f", last: *v{levels - 1}}}"


def merges(levels: int) -> str:
    """Return a flow mapping of YAML whose merge keys double at each level."""
    rows = [f"m{i}: &m{i} {{<<: [*m{i - 1}, *m{i - 1}], k{i}: 1}}" for i in range(1, levels)]
    return "{m0: &m0 {a: 1}, " + ", ".join(rows) + "}"


YAML = (
    *JSON,
    aliases(SHARED),
    aliases(8),
    merges(SHARED),
    "&loop [*loop]",
    "!!python/object/apply:os.mkdir [evil]",
    "!!set {a, b}",
    "!!binary aGVsbG8=",
    "!!timestamp 2001-02-30",
    "2001-01-01",
    "1:30:00",
    "0o17",
    "no",
    "~",
    "*nothing",
    "| text",
    "? [a, b]",
)

ENTITIES = (
    "<!DOCTYPE x [" + '<!ENTITY a0 "aaaaaaaaaa">'
    + "".join(f'<!ENTITY a{i} "{f"&a{i - 1};" * 10}">' for i in range(1, 9)) + "]>",
    '<!DOCTYPE x [<!ENTITY a8 SYSTEM "file:///etc/hostname">]>',
    '<!DOCTYPE x SYSTEM "http://127.0.0.1:9/none.dtd">',
    '<?xml version="1.0" encoding="utf-7"?>',
    '<?xml version="1.0" encoding="none"?>',
)  # fmt: skip
