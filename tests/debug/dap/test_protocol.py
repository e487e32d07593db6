"""Bytes that are no message cost that message or the conversation, never the server; any pieces will do."""

import io
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.debug.dap.conftest import PATIENCE, alive, frame
from tinygrad_cnn.debug.dap.adapter import Adapter
from tinygrad_cnn.debug.dap.messages import NOBODYS
from tinygrad_cnn.debug.dap.protocol import MAX_BODY, MAX_HEADER, ProtocolError, Writer, read_message
from tinygrad_cnn.debug.dap.server import Server


class TestFrames:
    @pytest.mark.parametrize(
        "header",
        [
            b"Content-Length: 99999999999999999999999999\r\n\r\n",
            b"Content-Length: %d\r\n\r\n" % (MAX_BODY + 1),
            b"Content-Length: -5\r\n\r\n",
            b"Content-Length: +5\r\n\r\n{}   ",
            b"Content-Length: 0x10\r\n\r\n",
            b"Content-Length: ten\r\n\r\n",
            b"Content-Length: 1_0\r\n\r\n",
            b"Content-Length: \xd9\xa3\r\n\r\n",
            b"Content-Length:\r\n\r\n",
            b"Content-Length: 5\r\nContent-Length: 6\r\n\r\n",
            b"Content-Type: json\r\n\r\n",
            b"\r\n\r\n",
            b"no header at all\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
            b"POST /a:b HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}",
            b"Host: x\r\nContent-Length: 2\r\n\r\n{}",
            b"X: " + b"y" * (2 * MAX_HEADER) + b"\r\n\r\n",
            b"y" * (2 * MAX_HEADER),
        ],
    )
    def test_a_broken_header_is_answered_and_ends_the_conversation(self, client, header):
        client.write(header)
        client.wait_for_end()
        assert client.responses[NOBODYS]["success"] is False

    @pytest.mark.parametrize(
        "body",
        [
            b"", b"{", b"nope", b"[]", b"3", b'"text"', b"null", b'{"a": NaN}', b"\xff\xfe{}", b"{}\xc3",
            b"[" * 100_000, b'{"n": ' + b"9" * 10_000 + b"}", b"{}", b'{"type": "request"}', b'{"type": 5}',
            b'{"type": "request", "seq": "1", "command": "next"}', b'{"type": "request", "seq": 500}',
            b'{"type": "request", "seq": 1.5, "command": "next"}',
            b'{"type": "request", "seq": true, "command": "next"}',
            b'{"type": "request", "seq": 7, "command": ["next"]}', b'{"type": "event", "seq": 500, "event": "x"}',
            b'{"seq": 500, "type": "request", "command": null}',
        ],
    )  # fmt: skip
    def test_a_broken_body_costs_that_message_only(self, client, body):
        client.begin()
        client.write(frame(body))
        alive(client)
        refused = [r for r in client.responses.values() if not r["success"]]
        assert len(refused) == 1
        assert refused[0]["message"]

    def test_a_response_from_the_client_is_nobodys_answer(self, client):
        client.begin()
        client.write(
            frame(b'{"type": "response", "seq": 9, "request_seq": 1, "success": true, "command": "x"}')
        )
        alive(client)

    @pytest.mark.parametrize("cut", [1, 10, 21, 25, 60])
    def test_a_message_cut_off_ends_the_conversation(self, client, cut):
        client.write(frame(b'{"type": "request", "seq": 1, "command": "initialize"}')[:cut])
        client.close()
        assert client.server.wait(PATIENCE)

    def test_messages_may_arrive_in_any_pieces(self, client):
        for byte in frame(
            json.dumps(
                {"type": "request", "seq": 1, "command": "initialize", "arguments": {"adapterID": "é"}}
            ).encode()
        ):
            client.write(bytes([byte]))
        assert client.answer(1)["supportsStepBack"]

    def test_several_messages_in_one_piece_are_answered_in_order(self, client):
        client.begin()
        client.write(
            b"".join(
                frame(b'{"type": "request", "seq": %d, "command": "threads"}' % k) for k in range(100, 150)
            )
        )
        for k in range(100, 150):
            client.answer(k)
        order = [client.responses[k]["seq"] for k in range(100, 150)]
        assert order == sorted(order)

    def test_a_client_may_count_from_0_and_send_an_empty_list_for_an_empty_object(self):
        requests = [
            {"seq": 0, "type": "request", "command": "initialize", "arguments": {"adapterID": "nvim-dap"}},
            {"seq": 1, "type": "request", "command": "threads", "arguments": []},
            {
                "seq": 2,
                "type": "request",
                "command": "setFunctionBreakpoints",
                "arguments": {"breakpoints": {}},
            },
        ]
        stream = io.BytesIO(b"".join(frame(json.dumps(one).encode()) for one in requests))
        answers = io.BytesIO()
        server = Server(stream, answers)
        server.serve(Adapter(server.send_event))
        answers.seek(0)
        said = [read_message(answers) for _ in range(4)]
        assert [(m["request_seq"], m["success"]) for m in said if m["type"] == "response"] == [
            (0, True),
            (1, True),
            (2, True),
        ]

    @given(st.binary(max_size=200))
    def test_any_bytes_are_a_message_an_error_or_the_end(self, data):
        stream = io.BytesIO(data)
        for _ in range(300):
            try:
                message = read_message(stream)
            except ProtocolError as error:
                if error.fatal:
                    return
                continue
            if message is None:
                return
            assert isinstance(message, dict)
        raise AssertionError("it never ended")

    @given(
        st.recursive(
            st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(),
            lambda x: st.lists(x) | st.dictionaries(st.text(), x),
            max_leaves=20,
        )
    )
    def test_what_is_written_is_read_again(self, value):
        stream = io.BytesIO()
        writer = Writer(stream)
        writer.send({"value": value})
        writer.close()
        stream.seek(0)
        assert read_message(stream) == {"seq": 1, "value": value}
