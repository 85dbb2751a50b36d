"""Does a real server of a real model answer a client that nobody here wrote, and bear those that mean it no good?"""

import io
import json
import re
import ssl
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from serving_clients import Load, Server, abuse, deaf, serving, trickle
from support import ROOT

from edgepack.serving.health import ask
from edgepack.serving.options import Options

CLI: list[str | Path] = ["edgepack.cli.main", "serve"]
IMAGE: list[str | Path] = ["edgepack.serving", "serve", "--host", "127.0.0.1", "--bundle"]


@pytest.fixture(scope="module")
def golden(digits_bundle: Path) -> dict[str, Any]:
    """Arrays of the demo's golden samples."""
    with np.load(digits_bundle / "golden.npz") as arrays:
        return dict(arrays)


@pytest.fixture(scope="module")
def float_server(digits_bundle: Path) -> Iterator[Server]:
    """The float .onnx file, whose batch axis is free."""
    with serving([*CLI, digits_bundle, "--artifact", "model.float32.onnx"]) as server:
        yield server
        assert server.end() == 0


def tensor(client: Any, name: str, datatype: str, values: Any, *, binary: bool) -> Any:
    sent = client.InferInput(name, list(values.shape), datatype)
    sent.set_data_from_numpy(values, binary_data=binary)
    return sent


def test_tritonclient_asks_for_health_and_metadata(float_server: Server) -> None:
    import tritonclient.http as triton

    with triton.InferenceServerClient(float_server.address) as client:
        assert client.is_server_live() and client.is_server_ready()
        assert client.is_model_ready("digits") and client.is_model_ready("digits", "1")
        assert client.get_server_metadata()["extensions"] == ["binary_tensor_data"]
        told = client.get_model_metadata("digits")
        assert told["inputs"] == [{"name": "image", "datatype": "FP32", "shape": [-1, 8, 8, 1]}]
        assert told["parameters"]["labels"] == [str(digit) for digit in range(10)]
        with pytest.raises(triton.InferenceServerException, match="there is no model 'other'"):
            client.get_model_metadata("other")


@pytest.mark.parametrize("binary", [False, True])
def test_tritonclient_gets_the_golden_outputs_to_the_last_bit(
    float_server: Server, golden: dict[str, Any], binary: bool
) -> None:
    import tritonclient.http as triton

    expected = golden["output/model.float32.onnx/onnxruntime"]
    with triton.InferenceServerClient(float_server.address) as client:
        for sample, output in zip(golden["input"][:5], expected, strict=False):
            inputs = [tensor(triton, "image", "FP32", sample[None], binary=binary)]
            wanted = [triton.InferRequestedOutput("softmax", binary_data=binary)]
            answer = client.infer("digits", inputs, outputs=wanted, request_id="an id")
            assert answer.get_response()["id"] == "an id"
            np.testing.assert_array_equal(answer.as_numpy("softmax")[0], output)
        everything = client.infer("digits", [tensor(triton, "image", "FP32", golden["input"], binary=binary)])
        np.testing.assert_allclose(everything.as_numpy("softmax"), expected, atol=1e-5)
        pixels = np.rint(golden["input"] * 16).astype(np.uint8)  # as they are in the data set
        inputs = [tensor(triton, "image", "UINT8", pixels[:1], binary=binary)]
        same = client.infer("digits", inputs, parameters={"preprocess": True}).as_numpy("softmax")
        np.testing.assert_allclose(same, expected[:1], atol=1e-5)
        file = io.BytesIO()
        Image.fromarray(pixels[0, ..., 0]).save(file, "PNG")
        inputs = [tensor(triton, "image", "BYTES", np.array([file.getvalue()], dtype=object), binary=True)]
        decoded = client.infer("digits", inputs, parameters={"preprocess": True}).as_numpy("softmax")
        np.testing.assert_array_equal(decoded, same)
        with pytest.raises(triton.InferenceServerException, match="at most 32 are taken"):
            client.infer("digits", [tensor(triton, "image", "FP32", np.ones((33, 8, 8, 1), np.float32), binary=binary)])


def test_a_quantised_model_takes_floats_and_its_own_integers(digits_bundle: Path, golden: dict[str, Any]) -> None:
    import tritonclient.http as triton

    name = "model.int8.tflite"
    expected = golden[f"output/{name}/litert"]
    with serving([*CLI, digits_bundle, "--artifact", name]) as server:
        with triton.InferenceServerClient(server.address) as client:
            told = client.get_model_metadata("digits")
            (source,), (target,) = told["inputs"], told["outputs"]
            assert (source["datatype"], source["parameters"]["raw_datatype"]) == ("FP32", "INT8")
            scale, zero = (target["parameters"][key] for key in ("scale", "zero_point"))
            step, first = (source["parameters"][key] for key in ("scale", "zero_point"))
            for sample, output in zip(golden["input"][:5], expected, strict=False):
                real = client.infer("digits", [tensor(triton, source["name"], "FP32", sample[None], binary=True)])
                np.testing.assert_allclose(
                    real.as_numpy(target["name"])[0], (output.astype(np.float32) - zero) * scale, rtol=1e-6
                )
                integers = np.clip(np.rint(sample[None] / np.float32(step)) + first, -128, 127).astype(np.int8)
                raw = client.infer("digits", [tensor(triton, source["name"], "INT8", integers, binary=True)])
                np.testing.assert_array_equal(raw.as_numpy(target["name"])[0], output)
        assert server.end() == 0


def test_under_attack_good_requests_are_answered_memory_is_held_and_the_end_loses_none(
    digits_bundle: Path, golden: dict[str, Any]
) -> None:
    sample = golden["input"][0]
    sent = {"name": "image", "shape": [1, 8, 8, 1], "datatype": "FP32", "data": sample.ravel().tolist()}
    good = json.dumps({"inputs": [sent]}).encode()
    words = ["--artifact", "model.float32.onnx", "--max-batch", "1", "--body-timeout-s", "0.7", "--drain-s", "0.5"]
    with serving([*IMAGE, digits_bundle, *words]) as server:
        status, expected = post(server, good)
        assert status == 200
        with Load(server.port, good, expected, clients=3) as load:
            for _ in range(5):
                abuse(server.port, good)
            before = server.metric("process_resident_memory_bytes")
            head = b"POST /v2/models/digits/infer HTTP/1.1\r\nContent-Length: 500\r\n\r\n{"
            slow = [
                threading.Thread(target=lambda first=first: said.append(trickle(server.port, first, 10)))  # type: ignore[misc]
                for first in (head, b"GET /v2", b"POST /v2/models/digits/infer HTTP/1.1\r\nX: ")
            ]
            said: list[bytes] = []
            given_up: list[bool] = []
            slow.append(threading.Thread(target=lambda: given_up.append(deaf(server.port, 10))))
            for thread in slow:
                thread.start()
            for _ in range(20):
                abuse(server.port, good)
            for thread in slow:
                thread.join()
            assert len(said) == 3 and all(b" 408 " in words for words in said), said
            assert given_up == [True]
            assert server.metric("process_resident_memory_bytes") < before + (8 << 20)
            assert server.metric("edgepack_requests_in_progress") <= 3
            assert load.answered > 50 and not load.lost
            answered = load.answered
            server.process.terminate()
            while server.get("/v2/health/ready")[0] == 200:
                time.sleep(0.01)
            load.join()
            assert server.process.wait(30) == 0
        assert not load.lost
        assert load.answered > answered
    last = server.lines[-1]
    assert last["event"] == "ended"
    refused = {line["status"] for line in server.lines if line["event"] == "request"}
    assert {200, 400, 408, 413, 499} <= refused
    assert not [line for line in server.lines if line["level"] == "error"]


def post(server: Server, body: bytes) -> tuple[int, bytes]:
    request = urllib.request.Request(f"http://{server.address}/v2/models/digits/infer", body)
    with urllib.request.urlopen(request, timeout=30) as answer:
        return answer.status, answer.read()


def test_tls_and_tokens(digits_bundle: Path, tmp_path: Path) -> None:
    certificate, key, tokens = (tmp_path / name for name in ("cert.pem", "key.pem", "tokens"))
    openssl = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    openssl += ["-keyout", str(key), "-out", str(certificate), "-days", "2", "-subj", "/CN=localhost"]
    openssl += ["-addext", "subjectAltName=IP:127.0.0.1"]
    subprocess.run(openssl, check=True, capture_output=True, timeout=60)
    tokens.write_text("a-token-of-some-length\n")
    words = ["--tls-cert", certificate, "--tls-key", key, "--token-file", tokens]
    with serving([*IMAGE, digits_bundle, *words]) as server:
        context = ssl.create_default_context(cafile=str(certificate))

        def status(path: str, **headers: str) -> int:
            request = urllib.request.Request(f"https://{server.address}{path}", headers=headers)
            try:
                with urllib.request.urlopen(request, timeout=30, context=context) as answer:
                    return int(answer.status)
            except urllib.error.HTTPError as error:
                error.close()
                return error.code

        assert status("/v2/health/ready") == 200
        assert status("/v2") == 401
        assert status("/v2", Authorization="Bearer a-token-of-some-length") == 200
        assert ask(Options(host="0.0.0.0", port=server.port, tls_cert=certificate, tls_key=key)) is None
        assert server.end() == 0


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["--artifact", "model.int9.tflite"], 2, "has no artifact 'model.int9.tflite'; expected one of"),
        (["--tls-cert", "/dev/null", "--tls-key", "/dev/null"], 2, "cannot be used"),
        (["--token-file", "no-such-file"], 2, "cannot be read: No such file"),
        (["--host", "192.0.2.1"], 6, "cannot listen on 192.0.2.1 port 0"),
    ],
)
def test_a_server_that_cannot_start_says_why_in_one_line(
    digits_bundle: Path, words: list[str], code: int, said: str
) -> None:
    argv = [sys.executable, "-m", *map(str, IMAGE), str(digits_bundle), "--port", "0", *words]
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    lines = [line for line in done.stderr.splitlines() if line.startswith("serve: ")]
    assert (done.returncode, len(lines)) == (code, 1), done.stderr
    assert said in lines[0]


def test_the_command_line_says_what_is_wrong_and_loads_no_tensorflow(digits_bundle: Path) -> None:
    argv = [sys.executable, "-X", "importtime", "-m", *map(str, CLI), str(digits_bundle), "--artifact", "absent.onnx"]
    done = subprocess.run([*argv, "--port", "0"], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines() if "|" in line}
    assert done.returncode == 2
    assert "error: the bundle" in done.stderr and "has no artifact 'absent.onnx'" in done.stderr
    assert "uvicorn" in imported
    assert not {"tensorflow", "tf_keras", "onnx", "matplotlib", "docker"} & imported


def test_programs_of_the_page_run(float_server: Server, tmp_path: Path) -> None:
    page = (ROOT / "docs" / "serving.md").read_text()
    programs = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    assert len(programs) == 2
    Image.fromarray(np.zeros((20, 30), np.uint8)).save(tmp_path / "photo.jpg")
    code = "\n".join(programs).replace("127.0.0.1:8000", float_server.address)
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("[[") == 2
