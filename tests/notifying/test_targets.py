"""Webhooks, Alertmanager, chats and commands, against real receivers and programs."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import ipaddress
import json
import socket
import ssl
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from alerts import changed
from receivers import ALLOW, receiver

import ethostat as es
from ethostat.errors import DeliveryFailed, InvalidInput
from ethostat.monitor import Alert
from ethostat.notifying import Allowed, Command, Notice, Retries, open_target, read_routing, send_test
from ethostat.notifying.addresses import is_public, reachable
from ethostat.notifying.notice import inert
from ethostat.notifying.signing import Secret, read_secrets

ALERT = changed()
ONCE = Retries(attempts=1)
QUICK = Retries(first=0.01, longest=0.05, attempts=4)
KEY = bytes(range(32))
SECRET = "whsec_" + base64.b64encode(KEY).decode()
HOSTILE = '<script>alert(1)</script> [free](https://evil.example) <!channel> @everyone \x1b[31m"; rm -rf / #\u202e'


def _verified(got, key=KEY, *, now=None):
    """The body of a request whose signature holds, as a receiver would check it by the specification."""
    signed = b".".join([got.headers["webhook-id"].encode(), got.headers["webhook-timestamp"].encode(), got.body])
    expected = "v1," + base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()
    assert expected in got.headers["webhook-signature"].split(" ")
    assert abs((now or time.time()) - int(got.headers["webhook-timestamp"])) < 300
    return json.loads(got.body)


def test_notify_delivers_an_alert_whose_signature_holds(monkeypatch):
    """The receiver verifies the HMAC by itself, and finds the whole alert in `data`."""
    monkeypatch.setenv("ETHOSTAT_WEBHOOK_SECRET", SECRET)
    with receiver() as hook:
        es.notify(ALERT, hook.url, stream="prod-eu", labels={"team": "safety"}, allow=ALLOW)

    (got,) = hook.got
    said = _verified(got)
    assert (got.path, got.headers["content-type"]) == ("/hooks/abc", "application/json")
    assert said["type"] == "ethostat.alert"
    assert said["data"]["stream"], said["data"]["labels"] == ("prod-eu", {"team": "safety"})
    assert Alert.from_dict(said["data"]["alert"]).to_dict() == ALERT.to_dict()


def test_the_signature_is_the_specifications():
    """The published example of Standard Webhooks: id, time, body and key give this signature."""
    secret = Secret("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")

    said = secret.signature("msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}')
    assert said == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_two_secrets_both_sign(monkeypatch):
    """While one secret takes over from another, a receiver may hold either."""
    other = bytes(range(32, 64))
    monkeypatch.setenv("ETHOSTAT_WEBHOOK_SECRET", f"{SECRET} whsec_{base64.b64encode(other).decode()}")
    with receiver() as hook:
        es.notify(ALERT, hook.url, allow=ALLOW)

    assert _verified(hook.got[0], KEY) == _verified(hook.got[0], other)


def test_a_secret_is_long_and_does_not_show_itself():
    """A short or unreadable secret is refused; a printed one shows no key."""
    for text in ("whsec_c2hvcnQ=", "not base64!", "whsec_"):
        with pytest.raises(InvalidInput, match="HOOK must be whsec_ and base64 of 24 to 64 random bytes"):
            read_secrets(text, source="HOOK")
    assert SECRET[6:16] not in repr(read_secrets(SECRET, source="HOOK"))


def test_a_failed_attempt_is_repeated_under_the_same_id():
    """500, a broken connection and 429 are tried again; the id is the same each time."""
    with receiver(lambda n: [(500, {}, b"oops"), (429, {"retry-after": "0"}, b""), (200, {}, b"ok")][n]) as hook:
        es.notify(ALERT, hook.url, allow=ALLOW, retries=QUICK)

    assert len(hook.got) == 3
    assert len({got.headers["webhook-id"] for got in hook.got}) == 1


def test_what_never_arrives_raises_with_the_reason_and_without_the_path():
    """After the last attempt the caller is told; the URL's path, often a password, is not in the message."""
    with receiver(lambda _: (503, {}, b"down\x1b[31m for repairs")) as hook:
        with pytest.raises(DeliveryFailed, match=r"127.0.0.1 answered 503: down\[31m for repairs") as caught:
            es.notify(ALERT, hook.url, allow=ALLOW, retries=QUICK)

    assert len(hook.got) == QUICK.attempts
    assert "abc" not in str(caught.value)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirects_are_not_followed(status):
    """A receiver that redirects gets an error, its destination gets nothing, and there is no second attempt."""
    with receiver() as inner, receiver(lambda _: (status, {"location": inner.url}, b"")) as hook:
        with pytest.raises(DeliveryFailed, match=f"answered {status}, a redirect, and none is followed"):
            es.notify(ALERT, hook.url, allow=ALLOW, retries=QUICK)

    assert (len(hook.got), len(inner.got)) == (1, 0)


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "localhost", "[::1]", "0.0.0.0", "10.1.2.3", "192.168.0.9", "172.16.0.1", "169.254.169.254",  # noqa: S104
     "100.64.0.1", "[fe80::1]", "[fd00::1]", "[::ffff:127.0.0.1]", "[64:ff9b::7f00:1]", "[2002:7f00:1::]", "2130706433",
     "0x7f.1", "127.1"],
)  # fmt: skip
def test_addresses_that_are_not_public_are_refused(host):
    """Loopback, private, link-local and metadata addresses, in every spelling, get no request and no second attempt."""
    with receiver() as hook:
        with pytest.raises(
            DeliveryFailed, match="is not a public address; to write there, add it to `allow`"
        ) as caught:
            es.notify(ALERT, f"http://{host}:{hook.port}/", retries=QUICK)

    assert caught.value.for_good
    assert hook.got == []


def test_a_name_with_one_private_address_is_refused(monkeypatch):
    """Every address of a name is judged, not the first alone."""
    _resolve(monkeypatch, [["8.8.8.8", "10.0.0.1"]])

    with pytest.raises(DeliveryFailed, match=r"two.example is 10.0.0.1, which is not"):
        asyncio.run(reachable("two.example", 443, Allowed()))


def test_a_name_is_looked_up_once_so_that_it_cannot_change_its_mind(monkeypatch):
    """The connection goes to the address that was judged; a second answer (DNS rebinding) is never asked for."""
    asked = _resolve(monkeypatch, [["127.0.0.2"], ["127.0.0.3"]])
    with receiver(host="127.0.0.2") as judged:
        es.notify(ALERT, f"http://rebind.example:{judged.port}/x", allow=("127.0.0.2",), retries=ONCE)

    assert len(judged.got) == 1
    assert judged.got[0].headers["host"] == f"rebind.example:{judged.port}"
    assert asked == ["rebind.example"]


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """A certificate for hook.example that signs itself, and its key."""
    folder = tmp_path_factory.mktemp("tls")
    asked = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]
    names = ["-subj", "/CN=hook.example", "-addext", "subjectAltName=DNS:hook.example"]
    files = ["-keyout", str(folder / "key.pem"), "-out", str(folder / "cert.pem")]
    subprocess.run(["openssl", *asked, *names, *files], check=True, capture_output=True)
    return folder


def test_over_tls_the_certificate_must_be_the_names(monkeypatch, certificate):
    """The connection goes to an address, and what it proves is the name: another name on that address is refused."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate / "cert.pem", certificate / "key.pem")
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate / "cert.pem"))
    _resolve(monkeypatch, [["127.0.0.2"]])
    with receiver(host="127.0.0.2", tls=context) as hook:
        es.notify(ALERT, f"https://hook.example:{hook.port}/x", allow=ALLOW, retries=ONCE)
        with pytest.raises(DeliveryFailed, match=r"other.example .* cannot be reached: .*certificate"):
            es.notify(ALERT, f"https://other.example:{hook.port}/x", allow=ALLOW, retries=ONCE)

    assert [got.headers["host"] for got in hook.got] == [f"hook.example:{hook.port}"]


def test_the_next_address_is_tried_where_one_refuses(monkeypatch):
    """A name with several addresses is reached by the first that answers."""
    _resolve(monkeypatch, [["127.0.0.7", "127.0.0.2"]])
    with receiver(host="127.0.0.2") as hook:
        es.notify(ALERT, f"http://both.example:{hook.port}/x", allow=ALLOW, retries=ONCE)

    assert len(hook.got) == 1


def _resolve(monkeypatch, answers):
    """The names of this test, since the network is closed: the nth look-up gives the nth list of addresses."""
    asked = []

    def lookup(host, port, *_args, **_more):
        asked.append(host)
        found = answers[min(len(asked), len(answers)) - 1]
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in found]

    monkeypatch.setattr(socket, "getaddrinfo", lookup)
    return asked


def test_a_proxy_of_the_environment_is_not_used(monkeypatch):
    """A proxy would connect in our place, where addresses are not judged."""
    with receiver() as proxy, receiver() as hook:
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        es.notify(ALERT, hook.url, allow=ALLOW, retries=ONCE)

    assert (len(proxy.got), len(hook.got)) == (0, 1)


@pytest.mark.parametrize(
    ("address", "public"),
    [("1.1.1.1", True), ("2606:4700::1111", True), ("::ffff:1.1.1.1", True), ("64:ff9b::101:101", True),
     ("::ffff:10.0.0.1", False), ("224.0.0.1", False), ("ff02::1", False), ("2001:0:7f00:1::", False), ("::", False)],
)  # fmt: skip
def test_public_addresses(address, public):
    """What the internet knows, also inside IPv6, and nothing else."""
    assert is_public(ipaddress.ip_address(address)) is public


def test_a_slow_receiver_is_given_up(monkeypatch):
    """A receiver that drips its answer, a byte at a time, does not hold the courier for longer than the deadline."""
    monkeypatch.setattr("ethostat.notifying.posting.DEADLINE", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        began = time.monotonic()
        with pytest.raises(DeliveryFailed, match=r"did not answer within 0.3 s"):
            es.notify(ALERT, f"http://127.0.0.1:{silent.getsockname()[1]}/", allow=ALLOW, retries=ONCE)

    assert time.monotonic() - began < 5


def test_an_endless_answer_is_not_read():
    """Of a refusal the first two thousand bytes are enough."""
    with receiver(lambda _: (500, {}, b"x" * 5_000_000)) as hook:
        with pytest.raises(DeliveryFailed, match=r"answered 500: x+…"):
            es.notify(ALERT, hook.url, allow=ALLOW, retries=ONCE)


def test_hostile_text_stays_text():
    """Names reach machines as JSON in ASCII, and chats as words that link, mention and format nothing."""
    notice = Notice.of(changed(HOSTILE), stream=HOSTILE, labels={HOSTILE: HOSTILE}, now=0.0)

    assert notice.json.isascii()
    assert b"\x1b" not in notice.json
    assert json.loads(notice.json)["data"]["stream"] == HOSTILE
    for shown in (notice.title, notice.text):
        assert not set(shown) & set("<>@`*\x1b\u202e\\")
        assert "](" not in shown
        assert "://" not in shown
    assert "\n" not in notice.title


def test_message_ids_are_plain_whatever_the_alert_is_called():
    """A header can carry them, and two alerts never share one."""
    ids = {Notice.of(changed(name), now=0.0).message_id for name in ("a\r\nX-Evil: 1", "b", "ä", "\ud800")}

    assert len(ids) == 4
    assert all(one.isascii() and one.replace("_", "").isalnum() for one in ids)


def test_alertmanager_gets_an_alert_and_later_its_resolution(monkeypatch):
    """A change fires; its recovery has the same labels and an end that has come, which is how Alertmanager resolves."""
    with receiver(lambda _: (200, {}, b"")) as hook:
        url = f"alertmanager+http://127.0.0.1:{hook.port}/prefix/"
        labels = {"team-name": "safety", "stream": "mine", "1x": "y", "none": ""}
        for alert in (ALERT.to_dict(), ALERT.to_dict() | {"kind": "recovered", "id": "prod/9"}):
            es.notify(alert, url, stream="prod", labels=labels, allow=ALLOW, retries=ONCE)
        send_test(url, allow=ALLOW)

    (fired,), (over,), (test,) = (json.loads(got.body) for got in hook.got)
    assert hook.got[0].path == "/prefix/api/v2/alerts"
    assert fired["labels"] == over["labels"] == {
        "alertname": "EthostatChange", "severity": "page", "stream": "prod", "monitor": "prod", "detector": "profile",
        "team_name": "safety", "label_stream": "mine", "label_1x": "y",
    }  # fmt: skip
    assert fired["annotations"]["summary"] == ALERT.message
    now = datetime.now(UTC)
    assert datetime.fromisoformat(fired["endsAt"]) > now + timedelta(days=6)
    assert datetime.fromisoformat(over["endsAt"]) <= now
    assert test["labels"]["alertname"] == "EthostatTest"


def test_a_chat_gets_title_and_text_through_apprise():
    """apprise's ntfy service, against a real socket: words that mention nobody, with the weight of a page."""
    with receiver(lambda _: (200, {"content-type": "application/json"}, b"{}")) as hook:
        es.notify(changed(HOSTILE), f"ntfy://127.0.0.1:{hook.port}/drift", allow=ALLOW, retries=ONCE)

    (got,) = hook.got
    said = json.dumps(dict(json.loads(got.body))) if got.body.startswith(b"{") else got.body.decode() + str(got.headers)
    assert "PAGE" in said
    assert "@everyone" not in said


def test_a_chat_that_refuses_says_why():
    """What apprise writes to its log becomes the reason."""
    with receiver(lambda _: (401, {}, b"no")) as hook:
        with pytest.raises(DeliveryFailed, match=r"ntfy \(apprise\) did not take the message: .*401"):
            es.notify(ALERT, f"ntfy://127.0.0.1:{hook.port}/drift", allow=ALLOW, retries=ONCE)


def test_a_chat_on_a_private_address_is_refused():
    """The machine that an apprise URL names is judged as well."""
    with receiver() as hook:
        with pytest.raises(DeliveryFailed, match="not a public address"):
            es.notify(ALERT, f"ntfy://127.0.0.1:{hook.port}/drift", retries=ONCE)

    assert hook.got == []


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("json://localhost", "use an https:// webhook"),
        ("nosuch://thing", "apprise cannot read this nosuch:// URL"),
        ("hooks.example", "a target must be a URL"),
        ("https://user:pass@hooks.example/x", "must not carry a user or password"),
        ("https:///x", "name a host"),
    ],
)
def test_targets_that_are_none_are_refused_with_the_next_step(url, said):
    """The message names the rule; no password is in it."""
    with pytest.raises(InvalidInput, match=said) as caught:
        open_target(url)
    assert "pass@" not in str(caught.value)


def test_a_command_gets_the_alert_on_standard_input_and_nothing_as_argument(tmp_path, monkeypatch):
    """A name that looks like shell is data; our own secrets are not in its environment."""
    monkeypatch.setenv("ETHOSTAT_API_KEY", "k")
    script = (
        "import json, os, sys; "
        "json.dump([sys.argv[2:], json.load(sys.stdin), dict(os.environ)], open(sys.argv[1], 'w'))"
    )
    out = tmp_path / "got.json"
    es.notify(
        changed(HOSTILE), Command((sys.executable, "-c", script, str(out), "$(id)")), stream=HOSTILE, retries=ONCE
    )

    arguments, told, environment = json.loads(out.read_text())
    assert arguments == ["$(id)"]
    assert told["data"]["stream"] == HOSTILE
    assert not [name for name in environment if name.startswith("ETHOSTAT_")]


def test_a_command_that_fails_says_the_end_of_its_standard_error():
    """The exit code and the last words, without control characters."""
    command = Command((sys.executable, "-c", "import sys; sys.exit('x' * 9000 + '\\x1b[31m no GPU')"))
    with pytest.raises(DeliveryFailed, match=r"ended with 1: x+\[31m no GPU$") as caught:
        es.notify(ALERT, command, retries=ONCE)
    assert len(str(caught.value)) < 500


def test_a_command_that_hangs_is_killed_with_its_children(tmp_path):
    """After the timeout nothing that it started runs on."""
    script = 'sh -c \'while true; do echo . >> "$0"; sleep 0.02; done\' "$0" & wait'
    with pytest.raises(DeliveryFailed, match=r"did not end within 2 s and was killed"):
        es.notify(ALERT, Command(("sh", "-c", script, str(tmp_path / "beat")), timeout=2.0), retries=ONCE)

    before = (tmp_path / "beat").stat().st_size
    time.sleep(0.3)
    assert (tmp_path / "beat").stat().st_size == before > 0


def test_a_command_may_leave_work_running(tmp_path):
    """What it starts in the background is neither waited for nor killed."""
    child = f"import time; time.sleep(0.4); open({str(tmp_path / 'done')!r}, 'w').close()"
    parent = f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {child!r}])"
    es.notify(ALERT, Command((sys.executable, "-c", parent), timeout=30.0), retries=ONCE)

    end = time.monotonic() + 20
    while not (tmp_path / "done").exists() and time.monotonic() < end:
        time.sleep(0.05)
    assert (tmp_path / "done").exists()


def test_a_command_that_does_not_exist_is_final():
    """Trying again would not make it exist."""
    with pytest.raises(DeliveryFailed, match="cannot be started: No such file or directory; check the path") as caught:
        es.notify(ALERT, Command(("/no/such/program",)), retries=QUICK)
    assert caught.value.for_good


def test_notify_works_inside_a_running_event_loop():
    """A notebook has one: notify is an ordinary function there too."""

    async def cell() -> None:
        es.notify(ALERT, hook.url, allow=ALLOW)

    with receiver() as hook:
        asyncio.run(cell())

    assert len(hook.got) == 1


def test_targets_and_rules_come_from_a_file(tmp_path, monkeypatch):
    """Secrets are named by their variables; without rules every alert goes to every target."""
    monkeypatch.setenv("HOOK_SECRET", SECRET)
    monkeypatch.setenv("CHAT_URL", "ntfy://ntfy.example/drift")
    path = tmp_path / "notify.yaml"
    targets = """
targets:
  oncall: {webhook: "https://hooks.example/x", secret_env: HOOK_SECRET, allow: [10.0.0.0/8, hooks.internal]}
  chat: {apprise_env: CHAT_URL}
  prometheus: {alertmanager: "http://alertmanager:9093", allow: [alertmanager]}
  retrain: {command: [./retrain.sh, --now], timeout: 600}
"""
    path.write_text(targets)
    case = {"stream": "prod-eu", "tier": "warn", "kind": "change", "labels": {}}
    everyone = read_routing(path)
    path.write_text(targets + "rules:\n- {streams: [prod-*], targets: [chat]}\n- {tiers: [page], targets: [retrain]}\n")
    some = read_routing(path)

    assert everyone.targets_of(**case) == ("oncall", "chat", "prometheus", "retrain")
    assert some.targets_of(**case) == ("chat",)
    assert some.targets_of(**case | {"tier": "page"}) == ("chat", "retrain")
    assert [str(target) for target in some.targets.values()] == [
        "webhook at hooks.example", "ntfy (apprise)", "Alertmanager at alertmanager", "command ./retrain.sh"
    ]  # fmt: skip


def test_the_printed_file_can_be_read(tmp_path, monkeypatch):
    """The example of docs/notify.md names four targets and sends a page to two of them."""
    monkeypatch.setenv("ONCALL_SECRET", SECRET)
    monkeypatch.setenv("CHAT_URL", "ntfy://ntfy.example/drift")
    page = (Path(__file__).parents[2] / "docs" / "notify.md").read_text()
    path = tmp_path / "targets.yaml"
    path.write_text(page.partition("```yaml\n")[2].partition("```")[0])
    routing = read_routing(path)

    assert list(routing.targets) == ["oncall", "chat", "prometheus", "rollback"]
    assert routing.targets_of(stream="x", tier="page", kind="recovered", labels={}) == ("oncall", "prometheus")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("targets: {}", "targets: name at least one"),
        ("targets: {a: {webhook: 'https://x', command: [y]}}", "target a must have exactly one of"),
        ("targets: {a: {webhook: 'https://x', secret: s}}", "target a: 'secret' is not a field here"),
        ("targets: {a: {webhook: 'https://x', secret_env: NOT_SET}}", "variable 'NOT_SET' is not set"),
        ("targets: {a: {command: ./run.sh}}", "target a: command must be a list, got str"),
        ("targets: {a: {command: [x], timeout: -1}}", "timeout must be above 0"),
        ("targets: {a: {command: [x]}}\nrules: [{targets: [b]}]", "rule 1: targets must be of a, got 'b'"),
        (
            "targets: {a: {command: [x]}}\nrules: [{targets: [a], tiers: [loud]}]",
            "tiers must be of page, warn, got 'loud'",
        ),
        ("targets: {a: {webhook: 'https://x', allow: ['10.0.0.1/8']}}", "`allow` takes addresses"),
        ("[]", "the file must be an object"),
    ],
)
def test_a_wrong_file_is_refused_at_the_place(tmp_path, text, said):
    """File, place and rule stand in the message."""
    path = tmp_path / "notify.yaml"
    path.write_text(text)
    with pytest.raises(InvalidInput, match=said) as caught:
        read_routing(path)
    assert str(caught.value).startswith(str(path))


def test_an_inert_text_keeps_its_words():
    """What is defused can still be read."""
    assert inert("prod-eu: g1 Helpful & Aligned 96.0% -> 12.0%") == "prod-eu: g1 Helpful & Aligned 96.0% -› 12.0%"
