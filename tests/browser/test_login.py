"""Log-ins, roles and the audit log of a real service in a real browser."""

from __future__ import annotations

import time
from urllib.parse import quote

import httpx
import pytest
from playwright.sync_api import expect

from ethostat.access import Register
from serving import serving, told

PASSWORD = "correct horse battery"  # noqa: S105
HOSTILE = "<img src=x onerror=alert(1)>"
FLAGS = ("--baseline", "first:50", "--run-length", "1000", "--workers", "1")
NOTIFY = """
targets:
  record: {command: ["/bin/true"]}
  broken: {command: ["/bin/false"]}
rules:
- {tiers: [page], streams: [none], targets: [record, broken]}
"""
ROLES = {"ann": ["admin"], "lea": ["read", "label"], "rob": ["read"]}


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    """A service with an admin, one who labels, one who reads, a key, and a stream in alert."""
    path = tmp_path_factory.mktemp("service") / "serve.db"
    with Register(path) as register:
        for name, scopes in ROLES.items():
            register.add_user(name, PASSWORD, scopes, now=time.time(), by="me")
        key = register.add_key(f"feed {HOSTILE}", ["admin"], now=time.time(), by="me")
    notify = path.with_name("notify.yaml")
    notify.write_text(NOTIFY)
    with serving(path, *FLAGS, "--notify", str(notify)) as one:
        one.client.headers["authorization"] = f"Bearer {key.text}"
        one.tell(told(100) + told(60, start=100, shares=(0, 1, 0, 0, 0)))
        one.wait_until(lambda: one.get("/v1/alerts")["alerts"])
        yield one
        assert one.stop() == 0


def log_in(service, visit, name, *, password=PASSWORD, path="/"):
    """Ask for a page, be sent to the log-in, and fill it in."""
    visit.page.set_default_timeout(30_000)
    visit.page.on("pageerror", lambda error: visit.complaints.append(str(error)))
    visit.page.on("dialog", lambda dialog: (visit.complaints.append("dialog"), dialog.dismiss()))
    visit.page.goto(service.url + path)
    fill_in(visit, name, password)


def fill_in(visit, name, password=PASSWORD):
    """Name and password, by keyboard."""
    visit.page.get_by_label("Name").fill(name)
    visit.page.get_by_label("Password").fill(password)
    with visit.page.expect_navigation():
        visit.page.keyboard.press("Enter")


def cookies(visit):
    """The session's cookie as another program would hold it."""
    return {one["name"]: one["value"] for one in visit.page.context.cookies()}


def test_a_user_logs_in_and_out(service, visit):
    """A wrong password is said; the right one leads to the page that was asked for; log-out ends the session."""
    log_in(service, visit, "ann", password="not the password", path="/stream?name=chat")
    expect(visit.page.get_by_role("alert").filter(has_text="wrong")).to_be_visible()
    assert visit.page.get_by_label("Name").input_value() == "ann"
    fill_in(visit, "ann")
    assert visit.page.url == f"{service.url}/stream?name=chat"
    assert "ann" in visit.page.locator(".me").inner_text()
    kept = cookies(visit)

    visit.page.locator("#log-out").focus()
    visit.page.keyboard.press("Enter")
    visit.page.wait_for_url("**/login?said=out")
    assert "You have logged out" in visit.page.locator("main").inner_text()
    assert httpx.get(f"{service.url}/v1/streams", cookies=kept).status_code == 401
    visit.page.goto(service.url)
    assert "/login" in visit.page.url


def test_a_session_that_ended_is_said_and_one_returns(service, visit):
    """On an open page an act says that the session is over, keeps what was typed, and leads back after the log-in."""
    alert = service.get("/v1/alerts")["alerts"][0]["number"]
    log_in(service, visit, "lea", path=f"/alerts/{alert}")
    token = visit.page.locator('meta[name="csrf"]').get_attribute("content")
    gone = httpx.delete(f"{service.url}/v1/session", cookies=cookies(visit), headers={"x-csrf-token": token})
    assert gone.json() == {"ended": True}
    visit.page.locator("#acknowledge").click()
    expect(visit.page.locator("#ended")).to_be_visible()
    visit.page.get_by_role("link", name="Log in again").click()
    assert "Your session has ended" in visit.page.locator("main").inner_text()
    fill_in(visit, "lea")

    assert visit.page.url == f"{service.url}/alerts/{alert}"
    assert not visit.complaints


def test_a_guesser_is_told_how_long_to_wait(service, visit):
    """After five wrong passwords the page says so, and for how long, even to the right one."""
    log_in(service, visit, "rob2", password="guess 0")
    for n in range(1, 6):
        fill_in(visit, "rob2", f"guess {n}")

    expect(visit.page.locator("#problem")).to_contain_text("Too many attempts have failed")
    assert "15 min" in visit.page.locator("#problem").inner_text()


def test_a_change_needs_the_token_of_the_session(service, visit):
    """The cookie alone changes nothing: not from our own page without its token, and not from another site's."""
    alert = service.get("/v1/alerts")["alerts"][0]
    log_in(service, visit, "ann")
    path = f"/v1/alerts/{quote(alert['id'], safe='')}/expected"
    ask = "([url, headers]) => fetch(url, {method: 'POST', headers, body: '{}'}).then((one) => one.status)"
    for headers in ({}, {"x-csrf-token": "A" * 43}):
        assert visit.page.evaluate(ask, [path, headers]) == 403
    visit.page.route(
        "http://elsewhere.example/", lambda route: route.fulfill(body="elsewhere", content_type="text/html")
    )
    visit.page.goto("http://elsewhere.example/")
    ask = "(url) => fetch(url, {method: 'POST', mode: 'no-cors', credentials: 'include', body: '{}'}).catch(() => 0)"
    visit.page.evaluate(ask, service.url + path)

    assert service.get("/v1/alerts")["alerts"][0]["expected"] is False


def test_who_reads_sees_what_may_be_read(service, visit):
    """No button that would be refused is shown, and pages for others say what they need."""
    alert = service.get("/v1/alerts")["alerts"][0]["number"]
    log_in(service, visit, "rob", path=f"/alerts/{alert}")
    assert visit.page.locator("#acknowledge, #snooze, #expected").count() == 0
    assert "need the scope label" in visit.page.locator("main").inner_text()
    assert visit.page.get_by_role("link", name="Audit").count() == 0
    answer = visit.page.goto(f"{service.url}/audit")

    assert answer.status == 403
    assert "scope admin" in visit.page.locator("main").inner_text()
    assert "default-src 'none'" in answer.headers["content-security-policy"]


def test_an_admin_ends_keys_and_reads_the_log(service, visit):
    """A key is revoked by keyboard and opens nothing; who did what stands in the audit log, hostile names as text."""
    with Register(service.log.with_suffix(".db")) as register:
        lost = register.add_key(f"lost {HOSTILE}", ["read"], now=time.time(), by="me")
    httpx.post(f"{service.url}/v1/session", json={"name": HOSTILE, "password": "x"})
    log_in(service, visit, "ann", path="/access")
    row = visit.page.locator("tr", has_text=lost.prefix)
    row.locator("summary").focus()
    visit.page.keyboard.press("Enter")
    visit.page.keyboard.press("Tab")
    with visit.page.expect_navigation():
        visit.page.keyboard.press("Enter")
    expect(visit.page.locator("tr", has_text=lost.prefix)).to_contain_text("revoked")
    assert visit.page.locator("tr", has_text="you").locator("form").count() == 0  # nobody locks himself or herself out
    visit.page.get_by_role("link", name="Audit").click()
    visit.page.wait_for_url("**/audit")
    said = visit.page.locator("main").inner_text()

    assert httpx.get(f"{service.url}/v1/streams", headers={"x-api-key": lost.text}).status_code == 401
    assert f"user:{HOSTILE}" in said
    assert "keys revoke" in said
    assert visit.page.locator("main img").count() == 0
    assert not visit.complaints


def test_an_admin_tests_where_alerts_go(service, visit):
    """The page of settings names targets without their secrets, sends a test message, and says whether it arrived."""
    log_in(service, visit, "ann", path="/settings")
    rows = visit.page.locator("#targets tr")
    for name, said in (("record", "It arrived."), ("broken", "command")):
        rows.filter(has_text=name).get_by_role("button").focus()
        visit.page.keyboard.press("Enter")
        expect(rows.filter(has_text=name).get_by_role("status")).to_contain_text(said)
    facts = visit.page.locator("main").inner_text()

    assert "recall of g2" in facts  # the classifier's card, with its figures
    assert "up for" in facts
    assert not visit.complaints
