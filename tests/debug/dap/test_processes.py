"""The server as a process: on standard streams, on a port, and inside a program that is attached to."""

import contextlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import zipfile

import pytest

import tinygrad_cnn as tg
from tests.debug.conftest import environment
from tests.debug.dap.conftest import PATIENCE, PROGRAMS, Client, Failed, frame, line_of
from tinygrad_cnn.autograd.state import state
from tinygrad_cnn.cli import main
from tinygrad_cnn.debug.dap import access, listen, serve, server
from tinygrad_cnn.debug.dap.access import token_file
from tinygrad_cnn.debug.dap.messages import NOBODYS
from tinygrad_cnn.debug.dap.protocol import MAX_BODY_OF_STRANGERS
from tinygrad_cnn.errors import UsageError

ADAPTER = [sys.executable, "-m", "tinygrad_cnn", "dap"]


@contextlib.contextmanager
def process(command, **options):
    """A child that is gone at the end, whatever happens."""
    with subprocess.Popen(command, env=environment(), **options) as child:
        try:
            yield child
        finally:
            if child.poll() is None:
                child.kill()


@contextlib.contextmanager
def over_stdio():
    with process(ADAPTER, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as child:
        client = Client(child.stdout, child.stdin, child.stdin.close)
        client.process = child
        yield client


def connect_to(port, token="of the file"):
    sock = socket.create_connection(("127.0.0.1", port), PATIENCE)

    def close():
        with contextlib.suppress(OSError):
            sock.shutdown(socket.SHUT_RDWR)
        sock.close()

    token = token_file(port).read_text() if token == "of the file" else token
    return Client(sock.makefile("rb"), sock.makefile("wb"), close, token)


def say_goodbye(client):
    """Disconnect from a program that is ending: it does not wait for ever for that."""
    with contextlib.suppress(OSError):  # TimeoutError is one
        client.ask("disconnect")


class TestStandardStreams:
    def test_a_script_is_debugged_in_the_main_thread(self, tmp_path):
        script = tmp_path / "main.py"
        script.write_text(
            "import signal, threading\nimport tinygrad_cnn as tg\n"
            "signal.signal(signal.SIGTERM, signal.getsignal(signal.SIGTERM))  # the main thread's privilege\n"
            "print(threading.current_thread() is threading.main_thread())\n"
            "x = tg.ones(2, requires_grad=True)\n(x * 2).sum().backward()\n"
        )
        with over_stdio() as client:
            client.launch(script, breakOn=["op:mul"])
            _, frame = client.stopped()
            assert [f["name"] for f in client.ask("stackTrace", threadId=1)["stackFrames"]] == [
                "∂ mul.backward",
                "<module>",
            ]
            client.ask("continue", threadId=1)
            assert client.event("exited") == {"exitCode": 0}
            assert client.output() == "True\n"
            client.ask("disconnect")
            client.wait_for_end()
            assert client.process.wait(PATIENCE) == 0

    def test_nothing_that_writes_to_or_reads_from_the_streams_disturbs_the_protocol(self, tmp_path):
        script = tmp_path / "noise.py"
        script.write_text(
            "import os, subprocess, sys\nprint('from print')\nos.write(1, b'from a descriptor\\n')\n"
            "sys.stdout.buffer.write(b'from bytes\\n')\nprint('to stderr', file=sys.stderr)\n"
            "sys.__stdout__.write('from the first stdout\\n'); sys.__stdout__.flush()\n"
            "subprocess.run([sys.executable, '-c', 'print(\"from a child\")'])\n"
            "print('Content-Length: 5\\r\\n\\r\\nhello')\n"
            "try:\n    input()\nexcept EOFError:\n    print('no input')\n"
        )
        with over_stdio() as client:
            client.launch(script)
            assert client.event("exited") == {"exitCode": 0}
            client.ask("threads")
            client.ask("disconnect")
            client.wait_for_end()
            said = client.output()
            for text in (
                "from print",
                "from a descriptor",
                "from bytes",
                "to stderr",
                "from the first stdout",
                "from a child",
            ):
                assert text in said
            assert "no input" in said
            categories = {
                e["body"]["category"]
                for e in client.events
                if e["event"] == "output" and "stderr" in e["body"]["output"]
            }
            assert categories == {"stderr"}

    @pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
    def test_a_forked_child_prints_and_does_not_stop(self, tmp_path):
        script = tmp_path / "forks.py"
        script.write_text(
            "import os\nimport tinygrad_cnn as tg\nx = tg.ones(2, requires_grad=True)\nchild = os.fork()\n"
            # One after the other: print writes its line and the line's end apart, and the two could mix.
            "(x * 2).sum().backward()\nif child == 0:\n    print('child', flush=True)\n    os._exit(0)\n"
            "os.waitpid(child, 0)\nprint('parent')\n"
        )
        with over_stdio() as client:
            client.launch(script, breakOn=["op:mul"])
            client.stopped()
            client.ask("continue", threadId=1)
            assert client.event("exited") == {"exitCode": 0}
            assert client.output().split() == ["child", "parent"]

    def test_terminating_amid_prints_spoils_no_message(self, tmp_path):
        script = tmp_path / "prints.py"
        script.write_text("k = 0\nwhile True:\n    print(k)\n    k += 1\n")
        with over_stdio() as client:
            client.launch(script)
            client.event("output")
            client.ask("terminate")
            assert client.event("exited") == {"exitCode": 1}
            client.event("terminated")

    def test_the_end_of_input_ends_the_process_and_the_program(self):
        with over_stdio() as client:
            client.launch(PROGRAMS / "stripes.py", stopOnEntry=True)
            client.stopped()
            client.close()
            client.process.wait(PATIENCE)

    def test_a_program_that_will_not_end_is_ended(self, tmp_path):
        script = tmp_path / "stubborn.py"
        script.write_text(
            "import time\nfor _ in range(2):\n    try:\n        print('here')\n"
            "        time.sleep(1000)  # in C, where no exception can be raised\n"
            "    except BaseException:\n        pass\n"
        )
        with over_stdio() as client:
            client.launch(script)
            client.event("output")
            client.ask("disconnect")
            assert client.process.wait(PATIENCE) == 1

    def test_garbage_ends_it_cleanly(self):
        with process(ADAPTER, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as child:
            out, err = child.communicate(b"hello, is anybody there?\r\n\r\n", timeout=PATIENCE)
            assert child.returncode == 0
            assert b'"success":false' in out
            assert b"Traceback" not in err


class TestPort:
    @pytest.fixture
    def port(self):
        with process([*ADAPTER, "--port", "0"], stdout=subprocess.PIPE, text=True) as child:
            said = child.stdout.readline()
            port = int(re.fullmatch(r"listening on 127\.0\.0\.1:(\d+)\n", said)[1])
            assert token_file(port).read_text() in child.stdout.readline()
            yield port
            child.send_signal(signal.SIGINT)
            assert child.wait(PATIENCE) == 130
        assert not token_file(port).exists()

    def test_each_client_has_a_program_of_its_own(self, port):
        first, second = connect_to(port), connect_to(port)
        for client in (first, second):
            client.launch(PROGRAMS / "tiny.py", stopOnEntry=True)
        names = [client.stopped()[1]["name"] for client in (first, second)]
        assert names == ["∂ sum.backward"] * 2
        first.go("next")
        assert second.evaluate("step") == "1"
        for client in (first, second):
            client.ask("disconnect")
            client.wait_for_end()

    def test_a_client_that_vanishes_does_not_disturb_the_next(self, port):
        client = connect_to(port)
        client.launch(PROGRAMS / "tiny.py", stopOnEntry=True)
        client.stopped()
        client.close()
        client = connect_to(port)
        client.launch(PROGRAMS / "tiny.py")
        assert client.event("exited") == {"exitCode": 0}
        client.close()

    def test_a_port_that_is_taken_or_none_is_a_users_error(self, port, capsys):
        assert main(["dap", "--port", str(port)]) == 2
        assert "choose another port" in capsys.readouterr().err
        with pytest.raises(UsageError, match="65535"):
            access.Door(70000)


class TestAttach:
    PROGRAM = """\
import tinygrad_cnn as tg

port = tg.debug.listen(0, wait=False)
print(port, flush=True)
input()
x = tg.tensor([1.0, 2.0], requires_grad=True)
for step in range({steps}):
    loss = (x * x).sum()
    loss.backward()
print(x.grad.tolist(), flush=True)
input()
"""

    @contextlib.contextmanager
    def program(self, tmp_path, steps=2):
        script = tmp_path / "attachable.py"
        script.write_text(self.PROGRAM.format(steps=steps))
        with process(
            [sys.executable, "attachable.py"],
            cwd=tmp_path,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        ) as child:
            yield child, script, int(child.stdout.readline())

    def go(self, child):
        child.stdin.write("\n")
        child.stdin.flush()

    def attach(self, port, *configure, **arguments):
        client = connect_to(port)
        client.begin()
        client.ask("attach", token=client.token, **arguments)
        for command, args in configure:
            client.ask(command, **args)
        client.ask("configurationDone")
        client.event("process")
        return client

    def test_a_running_program_is_stopped_looked_at_and_left(self, tmp_path):
        with self.program(tmp_path) as (child, script, port):
            line = line_of(script, "loss = ")
            client = self.attach(
                port, ("setBreakpoints", {"source": {"path": str(script)}, "breakpoints": [{"line": line}]})
            )
            self.go(child)
            _, frame = client.stopped()
            assert (frame["name"], frame["line"], frame["source"]["path"]) == (
                "∂ sum.backward",
                line,
                str(script),
            )
            assert client.evaluate("x") == "[1. 4.]"
            client.go("next")
            client.ask("disconnect")
            client.wait_for_end()
            assert child.stdout.readline() == "[4.0, 8.0]\n"
            self.go(child)
            assert child.wait(PATIENCE) == 0

    def test_after_one_client_comes_another(self, tmp_path):
        with self.program(tmp_path) as (child, _script, port):
            client = self.attach(port, stopOnEntry=True)
            client.close()
            client = self.attach(port, stopOnEntry=True)
            self.go(child)
            client.stopped()
            client.close()
            assert child.stdout.readline() == "[4.0, 8.0]\n"

    def test_the_client_is_told_when_the_program_ends(self, tmp_path):
        with self.program(tmp_path) as (child, _script, port):
            client = self.attach(port)
            self.go(child)
            child.stdout.readline()
            self.go(child)
            client.event("terminated")
            say_goodbye(client)
            assert child.wait(PATIENCE) == 0

    def test_disconnecting_may_end_the_program(self, tmp_path):
        with self.program(tmp_path) as (child, _script, port):
            client = self.attach(port, stopOnEntry=True)
            self.go(child)
            client.stopped()
            client.ask("disconnect", terminateDebuggee=True)
            assert child.wait(PATIENCE) == 1

    def test_launch_is_refused_where_a_program_runs_and_attach_where_none_does(self, tmp_path, client):
        with self.program(tmp_path) as (_child, script, port):
            other = connect_to(port)
            other.begin()
            with pytest.raises(Failed, match="use attach"):
                other.ask("launch", program=str(script), token=other.token)
            other.close()
        client.begin()
        with pytest.raises(Failed, match=r"debug\.listen"):
            client.ask("attach")


class TestInstall:
    def test_the_editors_parts_name_this_python(self, tmp_path, capsys):
        for editor in ("vscode", "neovim", "emacs"):
            assert main(["dap", "--install", editor, "--to", str(tmp_path)]) == 0
        assert capsys.readouterr().out.count("wrote") == 3
        for name in ("tinygrad_cnn_dap.lua", "tinygrad-cnn-dap.el"):
            text = (tmp_path / name).read_text()
            assert sys.executable in text
            assert str(access.token_directory()) in text
            assert "@" not in text
        [package] = tmp_path.glob("*.vsix")
        import xml.etree.ElementTree as ElementTree

        with zipfile.ZipFile(package) as archive:
            manifest = json.loads(archive.read("extension/package.json"))
            ElementTree.fromstring(archive.read("extension.vsixmanifest"))
            ElementTree.fromstring(archive.read("[Content_Types].xml"))
            code = archive.read("extension/" + manifest["main"].removeprefix("./")).decode()
        assert str(access.token_directory()) in code
        [debugger] = manifest["contributes"]["debuggers"]
        assert [debugger["runtime"], *debugger["runtimeArgs"]] == ADAPTER

    def test_the_manifest_offers_what_launch_reads(self, tmp_path):
        from importlib.resources import files

        manifest = json.loads(files("tinygrad_cnn.debug.dap").joinpath("editors/vscode.json").read_text())
        attributes = manifest["contributes"]["debuggers"][0]["configurationAttributes"]
        launch = {"program", "module", "args", "cwd", "env", "stopOnEntry", "stopAtEnd", "breakOn"}
        assert set(attributes["launch"]["properties"]) == launch

    def test_an_unknown_editor_is_a_users_error(self, capsys):
        assert main(["dap", "--install", "ed"]) == 2
        assert "vscode, neovim, emacs" in capsys.readouterr().err

    def test_neovim_and_emacs_have_their_own_places(self, tmp_path, monkeypatch):
        monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
        monkeypatch.setenv("HOME", str(tmp_path))
        assert main(["dap", "--install", "neovim"]) == 0
        assert (tmp_path / "config/nvim/lua/tinygrad_cnn_dap.lua").exists()
        assert main(["dap", "--install", "emacs"]) == 0
        assert (tmp_path / ".emacs.d/tinygrad-cnn-dap.el").exists()


class TestInterruption:
    @pytest.mark.skipif(os.name == "nt", reason="signals as on Unix")
    def test_control_c_in_an_attached_programs_terminal_ends_it_at_its_stop(self, tmp_path):
        with TestAttach().program(tmp_path) as (child, _script, port):
            client = TestAttach().attach(port, stopOnEntry=True)
            TestAttach().go(child)
            client.stopped()
            child.send_signal(signal.SIGINT)
            client.event("terminated")
            with pytest.raises((Failed, OSError), match="running|ended: True"):
                client.evaluate("1")
            say_goodbye(client)
            assert child.wait(PATIENCE) != 0


class TestListen:
    @pytest.fixture(autouse=True)
    def unlisten(self):
        yield
        tg.debug.unlisten()

    def test_it_waits_for_an_editor_no_longer_than_it_is_told(self, capsys):
        port = tg.debug.listen(0, timeout=0.05)
        said = capsys.readouterr().err
        assert f"127.0.0.1:{port}" in said
        assert token_file(port).read_text() in said

    def test_it_listens_on_the_loopback_address_only(self):
        listening = tg.debug.listen(0, wait=False)
        assert listen._current.door.socket.getsockname() == ("127.0.0.1", listening)

    def test_a_process_listens_once(self):
        tg.debug.listen(0, wait=False)
        with pytest.raises(UsageError, match="already"):
            tg.debug.listen(0)

    def test_after_unlisten_nodes_keep_nothing_and_passes_run_as_ever(self):
        tg.debug.listen(0, wait=False)
        assert (tg.ones(2, requires_grad=True) * 2).node.value is not None
        tg.debug.unlisten()
        assert (tg.ones(2, requires_grad=True) * 2).node.value is None
        assert state.now.observers == ()

    def test_without_a_client_a_pass_is_the_ordinary_one(self):
        tg.debug.listen(0, wait=False)
        x = tg.ones(2, requires_grad=True)
        (x * 3).sum().backward()
        assert x.grad.tolist() == [3, 3]


@pytest.fixture
def attachable():
    """This thread listens; gives the port."""
    yield tg.debug.listen(0, wait=False)
    tg.debug.unlisten()


def attach(client, **arguments):
    client.begin()
    client.ask("attach", token=client.token, **arguments)


class TestStrangers:
    """Clients without the token, whatever they send, do nothing and keep nobody away."""

    @pytest.mark.skipif(os.name == "nt", reason="modes as on Unix")
    def test_only_the_owner_can_read_the_token(self, attachable):
        file = token_file(attachable)
        assert (file.stat().st_mode & 0o777, file.parent.stat().st_mode & 0o777) == (0o600, 0o700)
        assert len(file.read_text()) == 32
        tg.debug.unlisten()
        assert not file.exists()

    def test_each_start_has_another_token_and_replaces_what_a_killed_server_left(self, tmp_path, monkeypatch):
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
        token_file(0).parent.mkdir(parents=True)
        elsewhere = tmp_path / "elsewhere"
        doors = [access.Door(0) for _ in range(2)]
        assert doors[0].token != doors[1].token
        for door in doors:
            door.close()
        token_file(5).symlink_to(elsewhere)
        access._write_private(token_file(5), "abc")
        assert token_file(5).read_text() == "abc"
        assert not elsewhere.exists()

    def test_where_no_file_can_be_written_the_message_says_so(self, tmp_path, monkeypatch, capsys):
        (tmp_path / "file").touch()
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
        tg.debug.listen(0, wait=False)
        said = capsys.readouterr().err
        assert listen._current.door.token in said
        assert "cannot be written" in said
        tg.debug.unlisten()

    @pytest.mark.parametrize("token", [None, "", "0" * 32, "\ud800", "é" * 32])
    def test_a_wrong_token_ends_the_conversation(self, attachable, token):
        client = connect_to(attachable, token)
        client.begin() if token is not None else client.ask("initialize", adapterID="test")
        with pytest.raises(Failed, match="token"):
            client.ask("attach", **({} if token is None else {"token": token}))
        client.wait_for_end()

    @pytest.mark.parametrize(
        "command",
        ["setBreakpoints", "configurationDone", "evaluate", "pause", "terminate", "threads", "nonsense"],
    )
    def test_without_the_token_nothing_is_done(self, attachable, command):
        client = connect_to(attachable)
        client.ask("initialize", adapterID="test")
        with pytest.raises(Failed, match="token"):
            client.ask(command)
        client.wait_for_end()
        assert not any(event["event"] == "initialized" for event in client.events)

    def test_one_that_closes_without_an_attach_lets_nothing_go_on(self, attachable):
        for begin in (False, True):
            client = connect_to(attachable)
            if begin:
                client.ask("initialize", adapterID="test")
                client.ask("disconnect")
                client.wait_for_end()
            client.close()
            assert not listen.wait_for_client(0.3)
        client = connect_to(attachable)
        attach(client)
        assert not listen.wait_for_client(0.05)
        client.ask("configurationDone")
        assert listen.wait_for_client(PATIENCE)
        client.close()

    def test_strangers_neither_interrupt_nor_detach_the_one_that_is_attached(self, tmp_path):
        with TestAttach().program(tmp_path) as (child, _script, port):
            client = TestAttach().attach(port, stopOnEntry=True)
            TestAttach().go(child)
            client.stopped()
            long = client.post("evaluate", {"expression": "print('x') or sum(k for k in range(10**7))"})
            for _ in range(3):
                other = connect_to(port)
                other.ask("initialize", adapterID="test")
                other.close()
            assert client.answer(long)["result"] == str(sum(range(10**7)))
            second = connect_to(port)
            with pytest.raises(Failed, match="another client"):
                attach(second)
            second.close()
            assert client.evaluate("1 + 1") == "2"
            client.close()

    def test_a_silent_one_blocks_nobody_and_is_sent_away(self, attachable, monkeypatch):
        monkeypatch.setattr(server, "PATIENCE", 0.2)
        silent = connect_to(attachable)
        client = connect_to(attachable)
        attach(client)
        client.ask("configurationDone")
        silent.wait_for_end()
        assert client.ask("threads")
        client.close()

    def test_there_are_few_at_a_time(self, attachable):
        clients = [connect_to(attachable) for _ in range(access.MAX_CLIENTS)]
        for client in clients:
            client.ask("initialize", adapterID="test")
        refused = connect_to(attachable)
        refused.wait_for_end()
        assert f"{access.MAX_CLIENTS} clients" in refused.responses[NOBODYS]["message"]
        for client in clients:
            client.close()

    @pytest.mark.parametrize(
        "line",
        [
            "POST / HTTP/1.1",
            "POST /a:b HTTP/1.1",  # which has the form of a header
            "GET http://127.0.0.1/ HTTP/1.1",
            "OPTIONS *: HTTP/1.1",
        ],
    )
    def test_a_browsers_request_is_refused_at_its_first_line(self, attachable, line):
        token = token_file(attachable).read_text()
        messages = [
            {"seq": 1, "type": "request", "command": "initialize", "arguments": {"adapterID": "x"}},
            {"seq": 2, "type": "request", "command": "attach", "arguments": {"token": token}},
        ]
        body = b"".join(frame(json.dumps(one).encode()) for one in messages)
        request = f"{line}\r\nHost: 127.0.0.1\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body
        client = connect_to(attachable)
        client.write(request)
        client.wait_for_end()
        assert list(client.responses) == [NOBODYS]
        assert not listen.wait_for_client(0.05)

    def test_a_large_body_is_not_read(self, attachable):
        client = connect_to(attachable)
        client.write(b"Content-Length: %d\r\n\r\n" % (MAX_BODY_OF_STRANGERS + 1))
        client.wait_for_end()
        assert "at most" in client.responses[NOBODYS]["message"]

    def test_dap_on_a_port_launches_nothing_without_its_token(self, tmp_path):
        mark = tmp_path / "mark"
        script = tmp_path / "evil.py"
        script.write_text(f"open({str(mark)!r}, 'w')\n")
        with process([*ADAPTER, "--port", "0"], stdout=subprocess.PIPE, text=True) as child:
            port = int(child.stdout.readline().rpartition(":")[2])
            client = connect_to(port, "0" * 32)
            with pytest.raises(Failed, match="token"):
                client.launch(script)
            client.wait_for_end()
            client = connect_to(port)
            client.launch(script, configure=[("threads", {})])
            client.event("exited")
            client.close()
            assert mark.exists()

    @pytest.mark.skipif(sys.platform == "win32", reason="Windows ends processes without telling them")
    def test_a_server_that_is_told_to_end_removes_its_token(self):
        with process([*ADAPTER, "--port", "0"], stdout=subprocess.PIPE, text=True) as child:
            file = token_file(int(child.stdout.readline().rpartition(":")[2]))
            assert file.exists()
            child.send_signal(signal.SIGTERM)
            assert child.wait(60) == 128 + signal.SIGTERM
            assert not file.exists()

    def test_the_script_does_not_see_the_token(self, tmp_path):
        script = tmp_path / "environment.py"
        script.write_text("import os\nprint([name for name in os.environ if 'DAP' in name])\n")
        with process([*ADAPTER, "--port", "0"], stdout=subprocess.PIPE, text=True) as child:
            client = connect_to(int(child.stdout.readline().rpartition(":")[2]))
            client.launch(script)
            client.event("exited")
            assert client.output() == "[]\n"
            client.close()

    @pytest.mark.skipif(shutil.which("node") is None, reason="node is not installed")
    def test_the_extension_adds_the_token_to_attach(self, tmp_path):
        assert main(["dap", "--install", "vscode", "--to", str(tmp_path)]) == 0
        with zipfile.ZipFile(next(tmp_path.glob("*.vsix"))) as archive:
            archive.extract("extension/extension.js", tmp_path)
        (tmp_path / "node_modules/vscode").mkdir(parents=True)
        (tmp_path / "node_modules/vscode/index.js").write_text(
            "exports.debug = {registerDebugConfigurationProvider: (_type, provider) => provider};"
        )
        ask = (
            "const subscriptions = []; require('./extension/extension.js').activate({subscriptions});"
            "const configs = JSON.parse(process.argv[1]);"
            "console.log(JSON.stringify(configs.map((c) => subscriptions[0].resolveDebugConfiguration(null, c))))"
        )
        access._write_private(token_file(1), "secret")
        try:
            configs = [
                {"debugServer": 1},
                {"debugServer": 2},
                {"debugServer": 1, "token": "own"},
                {"program": "x"},
            ]
            done = subprocess.run(
                ["node", "-e", ask, json.dumps(configs)],
                cwd=tmp_path,
                capture_output=True,
                text=True,
                check=True,
            )
        finally:
            token_file(1).unlink()
        assert json.loads(done.stdout) == [{"debugServer": 1, "token": "secret"}, *configs[1:]]


class TestBusy:
    """What a client leaves behind in the middle of its work ends with it."""

    def test_a_process_on_standard_streams_that_sleeps_in_a_request(self):
        with over_stdio() as client:
            client.launch(PROGRAMS / "tiny.py", stopOnEntry=True)
            client.stopped()
            client.post("evaluate", {"expression": "print('x') or __import__('time').sleep(1000)"})
            client.event("output")
            client.close()
            assert client.process.wait(PATIENCE) == 1

    @pytest.mark.parametrize("work", ["__import__('time').sleep(1000)", "9**9**9"])
    def test_a_process_on_a_port(self, work, monkeypatch):
        monkeypatch.setattr(serve, "GRACE", 0.3)
        door = access.Door(0)
        threading.Thread(
            target=door.accept, args=(lambda client: serve._relay(client, door.token, set()),), daemon=True
        ).start()
        client = connect_to(door.port)
        client.launch(PROGRAMS / "tiny.py", stopOnEntry=True)
        client.stopped()
        pid = client.events[[e["event"] for e in client.events].index("process")]["body"]["systemProcessId"]
        client.post("evaluate", {"expression": f"print('x') or __import__('time').sleep(0.5) or {work}"})
        client.event("output")
        client.close()
        for _ in range(PATIENCE * 10):
            try:
                os.kill(pid, 0)
            except ProcessLookupError:
                break
            time.sleep(0.1)
        else:
            raise AssertionError("the child goes on")
        door.close()
