"""Types at the prompt of `mitsuke query`: argv is the program, its configuration, a question that never ends."""

import os
import pty
import re
import select
import sys
import time

program, config, endless = sys.argv[1:]
pid, terminal = pty.fork()
if pid == 0:
    os.execv(program, [program, "query", "--config", config])

seen = ""


def until(pattern, seconds=60):
    """Reads until the pattern comes; gives what came before its end, without the terminal's own sequences."""
    global seen
    end = time.monotonic() + seconds
    while True:
        text = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", seen)
        found = re.search(pattern, text)
        if found:
            seen = text[found.end() :]
            return text[: found.end()]
        if time.monotonic() > end:
            sys.exit(f"{pattern!r} did not come; instead: {text!r}")
        if select.select([terminal], [], [], 0.2)[0]:
            try:
                seen += os.read(terminal, 65536).decode(errors="replace")
            except OSError:
                sys.exit(f"it ended before {pattern!r} came; instead: {text!r}")


def type_in(text):
    os.write(terminal, text.encode())


until("for help")
until("mitsuke> ")
# Tab completes a column, and behind FROM a table.
type_in("select statement_n\t")
until("statement_no")
type_in(" from state\t")
until("from statements")
type_in(" limit 1;\r")
until(r"\| statement_no \|")
until(r"\(1 row, ")
until("mitsuke> ")
# A question over two lines, with a mistake in the second.
type_in("select\r nope from statements;\r")
until(r"2:2: No field named nope")
until(r"\n   nope from statements;?\r\n   \^")
until("mitsuke> ")
type_in("\\d\r")
until("reads_of_personal_data +one statement")
until("mitsuke> ")
type_in("\\x select * from statements where at < '2020-01-01T00:00:00Z';\r")
until("no file is opened|0 of")
until("mitsuke> ")
type_in("select person('4711') as hash;\r")
until(r"\| [0-9a-f]{32} \|")
until("mitsuke> ")
# Ctrl-C ends the question, not the prompt.
type_in(endless + ";\r")
time.sleep(2)
began = time.monotonic()
type_in("\x03")
until("interrupted")
assert time.monotonic() - began < 5
until("mitsuke> ")
# Ctrl-C takes back what is typed; the arrow up brings the question before last.
type_in("half a question\x03")
until("mitsuke> ")
type_in("\x1b[A\x1b[A\r")
until(r"\| [0-9a-f]{32} \|")
until("mitsuke> ")
type_in("\x04")
_, status = os.waitpid(pid, 0)
sys.exit(os.waitstatus_to_exitcode(status))
