"""`mitsuke verify` beside `sha256sum` and OpenSSL over the same warm files, interleaved: CPU seconds, and bytes a CPU second.

Verifying reads no Parquet: the files are random bytes, in a chain made here that is as valid as a sidecar's.

    python3 benches/vs/verify.py --mitsuke ~/.cache/mitsuke/target/release/mitsuke
"""

import argparse
import hashlib
import json
import os
import resource
import statistics
import subprocess
import tempfile

AT = "2026-11-23T10:00:00.000000Z"
RECORDS = 1000


class Chain:
    """The chain of one writer, signed by a key of its own."""

    def __init__(self, log):
        self.log, self.previous, self.lines, self.key = log, "0" * 64, [], log + ".signing.key"
        subprocess.run(["openssl", "genpkey", "-algorithm", "ed25519", "-out", self.key], check=True)
        der = ["openssl", "pkey", "-in", self.key, "-pubout", "-outform", "DER"]
        public = subprocess.run(der, check=True, capture_output=True).stdout[-32:]
        self.add({"entry": "opened", "version": "0", "public_key": public.hex()})

    def add(self, told):
        entry = {"number": len(self.lines) + 1, "at": AT, **told, "previous": self.previous}
        text = json.dumps(entry, separators=(",", ":"))[:-1]
        with tempfile.NamedTemporaryFile() as message:
            message.write(text.encode())
            message.flush()
            sign = ["openssl", "pkeyutl", "-sign", "-rawin", "-inkey", self.key, "-in", message.name]
            signature = subprocess.run(sign, check=True, capture_output=True).stdout.hex()
        line = f'{text},"signature":"{signature}"}}'
        self.previous = hashlib.sha256(line.encode()).hexdigest()
        self.lines.append(line)

    def seal(self, path, data):
        """Writes a file of the log, and its line."""
        whole = os.path.join(self.log, path)
        os.makedirs(os.path.dirname(whole), exist_ok=True)
        with open(whole, "wb") as file:
            file.write(data)
        first = int(path.rsplit("-", 1)[1].removesuffix(".parquet"))
        told = {"sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data), "records": RECORDS}
        seqs = {"first_seq": first, "last_seq": first + RECORDS - 1, "first_at": AT, "last_at": AT}
        self.add({"entry": "sealed", "path": path, **told, **seqs})
        return whole

    def close(self):
        os.makedirs(os.path.join(self.log, "chain"))
        with open(os.path.join(self.log, "chain", "w.jsonl"), "w") as file:
            file.write("\n".join(self.lines) + "\n")


def cpu(command):
    """CPU seconds of a command, user and system."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mitsuke", required=True, help="the release binary")
    parser.add_argument("--files", type=int, default=8)
    parser.add_argument("--mib", type=int, default=96, help="of each file")
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        log = os.path.join(folder, "log")
        chain = Chain(log)
        name = "statements/dt=2026-11-23/w-{:020}.parquet"
        files = [
            chain.seal(name.format(number * RECORDS + 1), os.urandom(1 << 20) * given.mib) for number in range(given.files)
        ]
        chain.close()
        commands = {
            "sha256sum": ["sha256sum", *files],
            "openssl dgst -sha256": ["openssl", "dgst", "-sha256", *files],
            "mitsuke verify": [given.mitsuke, "verify", "--log", log],
        }
        seconds = {name: [] for name in commands}
        for _ in range(given.rounds):
            for name, command in commands.items():
                seconds[name].append(cpu(command))
        size = given.files * given.mib / 1000 * 1.048576
        base = statistics.median(seconds["sha256sum"])
        print(f"{size:.2f} GB in {given.files} files, medians of {given.rounds} rounds")
        print(f"{'':22} CPU s   GB a CPU s   of sha256sum's time")
        for name, rounds in seconds.items():
            median = statistics.median(rounds)
            print(f"{name:22} {median:5.2f}   {size / median:10.2f}   {median / base:.2f}")


main()
