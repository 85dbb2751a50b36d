import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgepack.errors import DeviceError, RecipeError
from edgepack.transports._openssh import Address, explain, parse

ADDRESS = Address("shelf", "pi", 2222)


@pytest.mark.parametrize(
    ("text", "expected", "words"),
    [
        ("shelf", Address("shelf"), ["--", "shelf"]),
        ("pi@shelf.local:2222/", Address("shelf.local", "pi", 2222), ["-l", "pi", "-p", "2222", "--", "shelf.local"]),
        (
            "root@[fe80::1%eth0]:22",
            Address("fe80::1%eth0", "root", 22),
            ["-l", "root", "-p", "22", "--", "fe80::1%eth0"],
        ),
    ],
)
def test_an_address_is_read_as_ssh_writes_it(text: str, expected: Address, words: list[str]) -> None:
    assert parse(text) == expected
    assert parse(text).words() == words


@pytest.mark.parametrize(
    "text", ["", "-oProxyCommand=x", "pi@", "a b", "shelf:0", "shelf:65536", "shelf/path", "@shelf", "-l@x"]
)
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(RecipeError, match=r"expected \[user@\]host\[:port\]"):
        parse(text)


@given(st.text(alphabet="abz09.-_@:[]/%$`' ;\n", max_size=30))
def test_no_address_becomes_an_option_or_has_a_name_that_is_no_file(text: str) -> None:
    try:
        found = parse(text)
    except RecipeError:
        return
    assert not found.host.startswith("-") and not (found.user or "").startswith("-")
    assert "/" not in found.name and not found.name.startswith("-")
    assert parse(str(found)) == found


# As OpenSSH 9.2 prints them.
SAID = {
    "not the one that is known": "@ WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED! @\nOffending ED25519 key in /k:3\n"
    "Host key verification failed.",
    "is not known yet": "No ED25519 host key is known for shelf and you have requested strict checking.\n"
    "Host key verification failed.",
    "accepts none of your keys": "pi@shelf: Permission denied (publickey).",
    "other users can read": "Permissions 0644 for 'k' are too open.\nLoad key: bad permissions\nPermission denied.",
    "there is no host 'shelf'": "ssh: Could not resolve hostname shelf: Name or service not known",
    "refuses connections": "ssh: connect to host shelf port 22: Connection refused",
    "cannot be reached": "ssh: connect to host shelf port 22: No route to host",
    "could not connect to pi@shelf:2222: kex": "kex_exchange_identification: Connection closed by remote host",
    "it said nothing": "",
}


@pytest.mark.parametrize("meaning", SAID)
def test_each_complaint_of_ssh_has_one_meaning_and_a_way_out(meaning: str) -> None:
    error = explain(SAID[meaning], ADDRESS)
    assert isinstance(error, DeviceError)
    assert meaning in error.message
    assert error.fix


def test_the_ways_out_name_the_device() -> None:
    assert explain(SAID["not the one that is known"], ADDRESS).fix.endswith("ssh-keygen -R '[shelf]:2222'")
    assert "Offending ED25519 key in /k:3" in explain(SAID["not the one that is known"], ADDRESS).message
    assert "ssh-copy-id -l pi -p 2222 shelf" not in explain(SAID["accepts none of your keys"], ADDRESS).fix
    assert "ssh-copy-id -p 2222 pi@shelf" in explain(SAID["accepts none of your keys"], ADDRESS).fix
