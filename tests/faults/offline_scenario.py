"""A day with Craton on a machine whose every outside packet is seen: run by test_offline in a network namespace of its
own, where lo is the only interface and every address in the world leads to it.

    python -m tests.faults.offline_scenario STARTERS FOLDER      prints what it saw, as JSON
"""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

from tests.faults.dialects import NAMES, speak
from tests.servers import clean_environment, craton, serving

ETH_P_ALL = 0x0003
SMALL = "smollm2-135m-instruct"
NAME_SERVER = "192.0.2.53"


class Canary:
    """Sees every packet to an address that is not this machine's own."""

    def __init__(self) -> None:
        self.seen: list[str] = []
        self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(ETH_P_ALL))
        self._socket.bind(("lo", 0))
        threading.Thread(target=self._watch, daemon=True).start()

    def _watch(self) -> None:
        while True:
            packet = self._socket.recv(65536)
            if packet[0] >> 4 == 4:
                to, own = socket.inet_ntoa(packet[16:20]), packet[16] == 127
            else:
                to, own = socket.inet_ntop(socket.AF_INET6, packet[24:40]), packet[24:40] == b"\0" * 15 + b"\1"
            if not own and not to.startswith("ff"):
                words = "".join(chr(byte) if 32 < byte < 127 else "." for byte in packet[20:])[:120]
                self.seen.append(f"{to} {words}")

    def fires(self) -> bool:
        """Whether it notices a look-up of a name and a connection; forgets them."""
        with suppress(OSError):
            socket.getaddrinfo("canary.example", 443)
        with socket.socket() as sock, suppress(OSError):
            sock.settimeout(1)
            sock.connect(("198.51.100.7", 443))
        time.sleep(0.2)
        told = " ".join(self.seen)
        self.seen.clear()
        return "canary" in told and "198.51.100.7" in told


def make_the_world_lead_here(folder: Path) -> None:
    resolv = folder / "resolv.conf"
    resolv.write_text(f"nameserver {NAME_SERVER}\noptions timeout:1 attempts:1\n")
    for command in (
        ["ip", "link", "set", "lo", "up"],
        ["ip", "route", "add", "local", "0.0.0.0/0", "dev", "lo"],
        ["mount", "--bind", str(resolv), "/etc/resolv.conf"],
    ):
        subprocess.run(command, check=True, capture_output=True)
    subprocess.run(["ip", "-6", "route", "add", "local", "::/0", "dev", "lo"], check=False, capture_output=True)


def main() -> None:
    starters, folder = Path(sys.argv[1]), Path(sys.argv[2])
    home, temporary = folder / "home", folder / "tmp"
    temporary.mkdir()
    make_the_world_lead_here(folder)
    canary = Canary()
    report: dict[str, object] = {"the canary fires": canary.fires()}
    environment = clean_environment(home) | {"TMPDIR": str(temporary)}
    said = craton("models", "pull", "--starters", "--from", str(starters), environment=environment)
    gguf = next(starters.glob("*.gguf"))
    craton("models", "pull", str(gguf), "--name", "acme/again", environment=environment)
    answers = [said.returncode]
    with serving(home, environment=environment) as server:
        for name in NAMES:
            answers.append(bool(speak(name, server).ask(SMALL, "What is supervised learning?", 8)))
            answers.append(bool("".join(speak(name, server).stream(SMALL, "Hello", 8))))
        with server.client() as client:
            for model in ("all-minilm-l6-v2", "echo"):
                embedded = client.post("/v1/embeddings", json={"model": model, "input": "a cat"})
                answers.append(embedded.status_code)
            tool = {"name": "look", "parameters": {"type": "object", "properties": {"word": {"type": "string"}}}}
            asked = {"model": SMALL, "messages": [{"role": "user", "content": "Hi"}], "max_tokens": 40}
            asked |= {"tools": [{"type": "function", "function": tool}], "tool_choice": "required"}
            answers.append(client.post("/v1/chat/completions", json=asked).status_code)
            picture = {"type": "image_url", "image_url": {"url": "http://203.0.113.9/picture.png"}}
            asked = {"model": "echo", "messages": [{"role": "user", "content": [picture]}]}
            report["a picture from the network"] = client.post("/v1/chat/completions", json=asked).status_code
        commands = (
            ("chat", "--model", SMALL, "Say hello."),
            ("embed", "--model", "all-minilm-l6-v2", "a cat", "a kitten"),
            ("models", "list"),
            ("status",),
            ("usage",),
        )
        answers += [server.craton(*arguments).returncode for arguments in commands]
    time.sleep(0.3)
    user = folder / "home-user"
    report |= {
        "answers": answers,
        "packets": canary.seen,
        "written at home": sorted(str(path.relative_to(user)) for path in user.rglob("*")),
        "left in tmp": sorted(str(path.relative_to(temporary)) for path in temporary.rglob("*")),
    }
    print(json.dumps(report))


if __name__ == "__main__":
    main()
