"""Is what is written read the same by those who read it: YAML 1.1 and 1.2, and protocol buffers?"""

from typing import Any

import yaml
from google.protobuf import text_format
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tritonclient.grpc import model_config_pb2

from edgepack import yamlfile
from edgepack.clusters import _pbtxt, _yaml

TEXT = st.text(st.characters(codec="utf-8", exclude_categories=("Cs",)), max_size=30)
TRAPS = st.sampled_from(
    ["on", "No", "y", "1e3", "0o17", "012", "1_000", "1:30", "~", "null", "2026-01-01", "=", "<<", ".inf"]
)
VALUES = st.recursive(
    TEXT | TRAPS | st.integers(-(2**40), 2**40) | st.booleans(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT | TRAPS, inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=25)
@given(st.dictionaries(TEXT | TRAPS, VALUES, min_size=1, max_size=4), TEXT)
@example({"version": "12e4000", "true": "on"}, "a\nb: c")
def test_yaml_is_read_the_same_by_old_and_new_readers(document: dict[str, Any], head: str) -> None:
    text = _yaml.dump(document, head=head)
    assert yaml.safe_load(text) == document
    assert yamlfile.parse(text, source="test").content == document


def test_yaml_keeps_the_order_and_quotes_only_what_needs_it() -> None:
    text = _yaml.dump({"b": "plain", "a": ["1.0", "on", {"path": "/v2/health/live"}]}, head="two\nlines")
    assert text == '# two\n# lines\nb: plain\na:\n  - "1.0"\n  - "on"\n  - path: /v2/health/live\n'


@given(TEXT, TEXT, st.lists(st.integers(-1, 2**31), max_size=4))
def test_pbtxt_is_read_by_the_real_message(name: str, tensor: str, dims: list[int]) -> None:
    config = {
        "name": name,
        "input": [{"name": tensor, "data_type": _pbtxt.Word("TYPE_FP32"), "dims": dims or [1]}],
        "dynamic_batching": {"preserve_ordering": True},
        "version_policy": {"latest": {}},
    }
    read = text_format.Parse(_pbtxt.dump(config), model_config_pb2.ModelConfig())
    assert (read.name, read.input[0].name, list(read.input[0].dims)) == (name, tensor, dims or [1])
    assert read.input[0].data_type == model_config_pb2.TYPE_FP32
    assert read.dynamic_batching.preserve_ordering is True
    assert read.HasField("version_policy")
