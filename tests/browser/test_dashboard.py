"""The dashboard of a real service in a real browser."""

from __future__ import annotations

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

from serving import serving, told

HOSTILE = "\"'><script>window.hacked=1</script><img src=x onerror=window.hacked=1>{{7*7}}\u202e\x1b[31m"
TEXTS = {
    "prompt": f"asked {HOSTILE}",
    "response": f"said {HOSTILE}",
    "model": f"m {HOSTILE}",
    "labels": {f"label {HOSTILE}": f"value {HOSTILE}"},
}
ALIGNED, MISALIGNED = (70, 3, 20, 2, 5), (35, 35, 10, 10, 10)
FLAGS = ("--store-text", "all", "--baseline", "first:200", "--workers", "1")


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    """A service with a stream that changed, one under a hostile name, and one that learns."""
    with serving(tmp_path_factory.mktemp("service") / "serve.db", *FLAGS) as one:
        tell(one, "chat", 600)
        one.wait_for(600)
        version = {"version": f"v2 {HOSTILE}", "streams": ["chat"]}
        assert one.client.post("/v1/deployments", json=version).status_code == 201
        tell(one, "chat", 400, start=600)
        tell(one, "chat", 200, start=1000, shares=MISALIGNED, **TEXTS)
        tell(one, HOSTILE, 60, **TEXTS)
        tell(one, "learning", 60)
        one.wait_for(60, "learning")
        one.wait_until(lambda: pages_of(one))
        yield one
        assert one.stop() == 0


@pytest.fixture
def alert(service):
    """The number of the page of the stream that changed."""
    return pages_of(service)[0]["number"]


def tell(service, stream, count, *, start=0, shares=ALIGNED, **more):
    """Events with verdicts."""
    events = [one | more for one in told(count, stream=stream, start=start, shares=shares)]
    assert service.tell(events).status_code == 200


def pages_of(service):
    """Alerts that are pages."""
    return [one for one in service.get("/v1/alerts")["alerts"] if one["tier"] == "page"]


def go(visit, url):
    """Open a page of the service, and hear what the browser says of it."""
    visit.page.on("console", lambda message: visit.complaints.append(message.text))
    visit.page.on("pageerror", lambda error: visit.complaints.append(str(error)))
    visit.page.on("dialog", lambda dialog: (visit.complaints.append("dialog"), dialog.dismiss()))
    visit.page.on("request", lambda request: visit.requests.append(request.url))
    visit.page.set_default_timeout(60_000)
    visit.page.goto(url)


def test_a_glance_shows_those_in_alert_first(service, visit):
    """Every stream has a line with its state; the one with a standing alert comes first."""
    go(visit, service.url)

    rows = visit.page.locator(".streams tbody tr")
    assert rows.count() == 3
    assert rows.first.locator(".name").inner_text() == "chat"
    assert "alert" in rows.first.locator(".state").inner_text()
    assert rows.first.locator(".spark path.curve").get_attribute("d").startswith("M")
    assert not visit.complaints


def test_a_glance_can_be_filtered(service, visit):
    """Part of a name, typed and entered, leaves the streams that have it."""
    go(visit, service.url)
    visit.page.get_by_label("Name").fill("LEARN")
    visit.page.keyboard.press("Enter")
    visit.page.wait_for_url("**q=LEARN**")

    assert visit.page.locator(".streams tbody tr").count() == 1
    assert "1 shown of 3" in visit.page.locator(".counts").inner_text()


@pytest.mark.parametrize("path", ["/", "/stream?name=chat", "/alerts", "/alert", "/hostile", "/reflected"])
def test_what_others_wrote_is_text(service, visit, alert, path):
    """Scripts in prompts, responses, labels, models, versions and names, kept or sent back, stand there and run not."""
    quoted = "".join(f"%{byte:02X}" for byte in HOSTILE.encode())
    known = {
        "/alert": f"/alerts/{alert}",
        "/hostile": f"/stream?name={quoted}",
        "/reflected": f"/?q={quoted}&state={quoted}&page={quoted}",
    }
    go(visit, service.url + known.get(path, path))
    visit.page.wait_for_timeout(300)

    assert visit.page.evaluate("window.hacked") is None
    assert visit.page.locator("main script, main img, header script").count() == 0
    assert not visit.complaints
    assert all(url.startswith(service.url) for url in visit.requests)
    text = visit.page.locator("main").inner_text()
    if path not in ("/alerts", "/reflected"):
        assert "<script>window.hacked=1</script>" in text
        assert "\u202e" not in text
        assert "\x1b" not in text


def test_a_stream_moves_by_itself(service, visit):
    """New responses appear on an open page without a reload, and what was open and in focus stays so."""
    tell(service, "moving", 50)
    service.wait_for(50, "moving")
    go(visit, f"{service.url}/stream?name=moving")
    visit.page.wait_for_selector("#pulse[data-state=on]")
    visit.page.locator("#table summary").click()
    visit.page.locator("#figures").focus()
    assert "50" in visit.page.locator("#live .facts").inner_text()

    tell(service, "moving", 150, start=50)
    expect(visit.page.locator("#buckets tbody tr")).to_have_count(8, timeout=60_000)

    assert visit.page.evaluate("document.activeElement.id") == "figures"
    assert visit.page.locator("#table").get_attribute("open") is not None
    assert not visit.complaints


def test_figures_are_read_out_with_the_arrow_keys(service, visit):
    """With the figures in focus the arrow keys say the shares and S of one bucket after the other."""
    go(visit, f"{service.url}/stream?name=chat")
    visit.page.locator("#figures").focus()
    visit.page.keyboard.press("ArrowLeft")
    last = visit.page.locator("#readout").inner_text()
    visit.page.keyboard.press("ArrowLeft")

    assert last.startswith("Responses 1,176 to 1,200")
    assert "nats" in last
    assert visit.page.locator("#readout").inner_text().startswith("Responses 1,151 to 1,175")
    assert visit.page.locator(".cursor:not([hidden])").count() == 3


def test_a_course_marks_alerts_and_deployments(service, visit, alert):
    """What happened stands under the figures, and as a line in each of them."""
    go(visit, f"{service.url}/stream?name=chat")

    said = visit.page.locator(".happened").inner_text()
    assert "deployment v2" in said
    assert "at response 600" in said
    assert visit.page.locator(".plot-area .sign-deployment").count() == 3
    assert visit.page.locator(f".happened a[href='/alerts/{alert}']").count() == 1
    assert visit.page.locator(".plot-area path.threshold").count() == 1


def test_an_alert_leads_to_its_moment(service, visit, alert):
    """From an alert one comes to the stream's figures around it, with the moment marked in each."""
    go(visit, f"{service.url}/alerts/{alert}")
    visit.page.locator("#see").click()
    visit.page.wait_for_url("**/stream?**at=**")

    assert visit.page.locator(".plot-area line.here").count() == 3
    assert visit.page.locator(f".happened a[href='/alerts/{alert}']").count() == 1


def test_a_window_becomes_the_baseline_and_a_version_is_declared(service, visit):
    """By keyboard: Shift with the arrow keys chooses responses, which are normal from then on; then a deployment."""
    tell(service, "steered", 400)
    service.wait_for(400, "steered")
    go(visit, f"{service.url}/stream?name=steered")
    visit.page.locator("#figures").focus()
    visit.page.keyboard.press("ArrowLeft")
    for _ in range(3):
        visit.page.keyboard.press("Shift+ArrowLeft")
    assert visit.page.locator("#readout").inner_text().startswith("Chosen: responses 301 to 400.")
    assert visit.page.locator(".picked:not([hidden])").count() == 3
    visit.page.locator("#baseline").focus()
    with visit.page.expect_navigation():
        visit.page.keyboard.press("Enter")
    assert "responses 301 to 400" in visit.page.locator("#live .facts").inner_text()
    visit.page.get_by_label("Version").fill(f"v9 {HOSTILE}")
    with visit.page.expect_navigation():
        visit.page.keyboard.press("Enter")

    assert service.get("/v1/streams/steered")["epoch"]["number"] == 2
    assert "deployment v9" in visit.page.locator(".happened").inner_text()
    assert visit.page.evaluate("window.hacked") is None
    assert not visit.complaints


def test_a_page_that_heard_nothing_catches_up(service, visit):
    """What moved while the page had no connection is there once it has one again."""
    tell(service, "missed", 50)
    service.wait_for(50, "missed")
    visit.page.route("**/live?**", lambda route: route.abort())
    visit.page.goto(f"{service.url}/stream?name=missed")
    expect(visit.page.locator("#pulse")).to_contain_text("reconnecting")
    tell(service, "missed", 100, start=50)
    service.wait_for(150, "missed")
    visit.page.unroute("**/live?**")

    expect(visit.page.locator("#live .facts")).to_contain_text("150", timeout=30_000)
    expect(visit.page.locator("#pulse")).to_have_attribute("data-state", "on", timeout=30_000)


def test_an_alert_is_acknowledged_snoozed_and_expected(service, visit, alert):
    """By keyboard alone; each is in the ledger afterwards, and the new baseline is learned."""
    go(visit, f"{service.url}/alerts/{alert}")
    assert "What moved" in visit.page.locator("main").inner_text()
    for verb in ("acknowledge", "snooze", "expected"):
        visit.page.locator(f"#{verb}").focus()
        with visit.page.expect_navigation():
            visit.page.keyboard.press("Enter")

    one = next(each for each in pages_of(service) if each["number"] == alert)
    assert one["acknowledged"] is not None
    assert one["expected"]
    assert service.get("/v1/streams/chat")["state"] == "learning"
    assert not visit.complaints


def test_a_refusal_is_said(service, visit, alert):
    """Where the API refuses, the page says why and lets one try again."""
    go(visit, f"{service.url}/alerts/{alert}")
    visit.page.evaluate("document.querySelector('#snooze').form.noValidate = true")
    visit.page.locator("#snooze").locator("xpath=..").get_by_label("Responses").fill("-5")
    visit.page.locator("#snooze").click()

    expect(visit.page.locator("#refused")).to_contain_text("at least 1", timeout=30_000)
    assert visit.page.locator("#snooze").is_enabled()


def test_a_page_that_is_not_there_says_so(service, visit):
    """An unknown stream or alert gives a page with a way back."""
    go(visit, f"{service.url}/stream?name=nobody")
    assert "no such stream" in visit.page.locator("main").inner_text()
    visit.page.goto(f"{service.url}/alerts/999999")

    assert "no such alert" in visit.page.locator("main").inner_text()
    assert visit.page.get_by_role("link", name="All streams").count() == 1


@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("path", ["/", "/stream?name=chat", "/alerts", "/alert", "/settings"])
def test_pages_fit_and_stand_still(service, visit, alert, path, width):
    """No page is wider than a phone or a desk, and nothing in it moves while it loads."""
    visit.page.set_viewport_size({"width": width, "height": 850})
    visit.page.add_init_script(
        "window.shifted = 0; new PerformanceObserver((list) => list.getEntries().forEach("
        "(one) => { window.shifted += one.value; })).observe({type: 'layout-shift', buffered: true})"
    )
    go(visit, service.url + {"/alert": f"/alerts/{alert}"}.get(path, path))
    visit.page.wait_for_timeout(500)

    assert visit.page.evaluate("document.documentElement.scrollWidth") <= width
    assert visit.page.evaluate("window.shifted") < 0.01
    assert not visit.complaints


@pytest.mark.parametrize("path", ["/", "/stream?name=chat", "/alert", "/settings"])
def test_everything_that_takes_a_key_has_a_name_and_shows_its_focus(service, visit, alert, path):
    """Tab reaches every control; each has an accessible name, and an outline while it has the focus."""
    go(visit, service.url + {"/alert": f"/alerts/{alert}"}.get(path, path))
    nameless, seen = [], set()
    for _ in range(80):
        visit.page.keyboard.press("Tab")
        found = visit.page.evaluate(
            "(() => { const one = document.activeElement; if (one === document.body) return null;"
            "const name = one.getAttribute('aria-label') || one.labels?.[0]?.textContent || one.textContent;"
            "return [one.tagName + one.id + one.href, name.trim(), getComputedStyle(one).outlineStyle]; })()"
        )
        if found is None or found[0] in seen:
            break
        seen.add(found[0])
        if not found[1] or found[2] == "none":
            nameless.append(found)

    assert len(seen) >= 6
    assert not nameless


def begin(service, visit, rater, of="stream:review"):
    """Sit down to label what is kept of a stream."""
    go(visit, f"{service.url}/review")
    visit.page.get_by_label("Who labels").fill(rater)
    visit.page.get_by_label("Responses of").select_option(of)
    with visit.page.expect_navigation():
        visit.page.get_by_role("button", name="Label").click()


def press(visit, key, done):
    """Press a key, and wait until so many rows are labelled."""
    visit.page.wait_for_timeout(150)
    visit.page.keyboard.press(key)
    expect(visit.page.locator(".progress")).to_contain_text(done, timeout=30_000)


def test_responses_are_labelled_by_keyboard(service, visit):
    """Two raters label what is kept of a stream by keys, blind; agreement and corrected figures follow."""
    told_now = [one | TEXTS | {"response": f"{n} {HOSTILE}"} for n, one in enumerate(told(30, stream="review"))]
    assert service.tell(told_now).status_code == 200
    service.wait_for(30, "review")
    begin(service, visit, "ann")
    desk = visit.page.locator("#desk")
    assert "<script>window.hacked=1</script>" in desk.inner_text()
    assert not any(key in desk.inner_text() for key in ("g1", "g2", "g3", "g4", "g5"))
    first = visit.page.locator(".answer-of").inner_text()

    press(visit, "1", "1 of 30 labelled")
    assert visit.page.locator(".answer-of").inner_text() != first
    press(visit, "u", "0 of 30 labelled")
    assert visit.page.locator(".answer-of").inner_text() == first
    press(visit, "2", "1 of 30 labelled")
    press(visit, "s", "1 skipped")
    for done, key in enumerate("1132514", 2):
        press(visit, key, f"{done} of 30 labelled")
    visit.page.keyboard.press("n")
    visit.page.keyboard.type("unsure 3")
    visit.page.keyboard.press("Enter")
    expect(visit.page.locator(".progress")).to_contain_text("note kept")
    assert visit.page.locator("#note").input_value() == "unsure 3"
    begin(service, visit, "bea")
    for done, key in enumerate("21112514", 1):
        press(visit, key, f"{done} of 30 labelled")
    visit.page.get_by_role("link", name="Agreement and corrected figures").click()

    said = visit.page.locator("main").inner_text()
    assert "Krippendorff" in said
    assert "Fleiss" in said
    assert "ann and bea" in said
    assert visit.page.locator("#corrected tbody tr").count() == 8
    assert visit.page.evaluate("window.hacked") is None
    assert not visit.complaints


def test_what_raters_differ_on_is_settled_by_keyboard(service, visit):
    """An adjudicator sees what was said and by nobody's name, settles it by a key, and the stream's figures follow."""
    events = [one | TEXTS | {"response": f"{n}"} for n, one in enumerate(told(12, stream="settled"))]
    assert service.tell(events).status_code == 200
    service.wait_for(12, "settled")
    for rater, keys in (("dee <img src=x onerror=window.hacked=1>", "112"), ("eva", "221")):
        begin(service, visit, rater, of="stream:settled")
        for done, key in enumerate(keys, 1):
            press(visit, key, f"{done} of 12 labelled")
    go(visit, f"{service.url}/review")
    row = visit.page.locator("tr", has_text="eva").filter(has_text="dee")
    assert "3 of 12" in row.inner_text()
    row.get_by_label("Who settles").fill("fay")
    visit.page.keyboard.press("Enter")
    visit.page.wait_for_url("**/settle**")
    heard = visit.page.locator(".heard")
    assert "× 1" in heard.inner_text()
    assert "eva" not in visit.page.locator("main").inner_text()
    visit.page.keyboard.press("?")
    expect(visit.page.locator("#help")).to_be_visible()
    visit.page.keyboard.press("1")
    visit.page.keyboard.press("Escape")
    for done, key in enumerate("112", 1):
        press(visit, key, f"{done} of 3 settled")
    visit.page.get_by_role("link", name="Agreement and corrected figures").click()
    visit.page.wait_for_selector("#corrected")
    assert "3 of those settled" in visit.page.locator("main").inner_text()
    visit.page.goto(f"{service.url}/stream?name=settled")

    assert visit.page.locator("#corrected tbody tr").count() == 8
    assert visit.page.evaluate("window.hacked") is None
    assert not visit.complaints


def test_a_held_key_labels_once(service, visit):
    """A key that repeats because it is held down labels one response and no more."""
    begin(service, visit, "held", of="stream:chat")
    visit.page.wait_for_timeout(150)
    visit.page.keyboard.down("1")
    for _ in range(5):
        visit.page.keyboard.down("1")
    visit.page.keyboard.up("1")
    expect(visit.page.locator(".progress")).to_contain_text("u takes it back")
    visit.page.wait_for_timeout(1000)

    assert visit.page.locator(".progress").inner_text().startswith("1 of ")


def test_runs_have_reports_and_are_compared(service, visit):
    """Runs are listed with S; reports and comparisons draw their figures, and reach nothing of the service."""
    assert service.tell([one | TEXTS for one in told(40, stream="other", shares=MISALIGNED)]).status_code == 200
    service.wait_for(40, "other")
    begin(service, visit, "cay", of="stream:chat")
    begin(service, visit, "cay", of="stream:other")
    go(visit, f"{service.url}/runs")
    visit.page.get_by_label("as A").last.check()
    visit.page.get_by_label("as B").first.check()
    visit.page.get_by_role("link", name="stream:other").click()
    visit.page.wait_for_url("**/runs/*")
    assert visit.page.locator("main tbody tr").count() == 9
    visit.page.go_back()
    visit.page.get_by_role("link", name="Report of run").first.click()
    visit.page.wait_for_selector("#chart-profile .main-svg")
    assert visit.page.evaluate("window.origin") == "null"
    visit.page.go_back()
    visit.page.get_by_label("as A").last.check()
    visit.page.get_by_label("as B").first.check()
    visit.page.get_by_role("button", name="Compare").click()
    visit.page.wait_for_url("**/compare?**")
    assert "Verdict" in visit.page.locator("main").inner_text()
    assert visit.page.locator("main tbody tr").count() == 8
    visit.page.locator("#full-report").click()
    visit.page.wait_for_selector("#chart-forest-0 .main-svg")

    assert "stream:other" in visit.page.locator("h1").inner_text()
    assert visit.page.evaluate("window.origin") == "null"
    assert visit.page.evaluate("window.hacked") is None


def test_no_page_breaks_a_serious_rule_of_accessibility(service, visit, alert):
    """axe-core finds nothing serious or critical on any page, in light and dark colours."""
    begun = service.client.post("/v1/reviews", json={"of": "stream:chat", "rater": "axe"}).json()
    paths = ["/", "/stream?name=chat", "/alerts", f"/alerts/{alert}", "/runs", "/review", begun["go"]]
    paths += [
        f"/runs/{begun['run']}",
        f"/review/{begun['run']}/agreement",
        "/settings",
        "/access",
        "/audit",
        "/login",
        "/nowhere",
    ]
    axe, found = Axe(), []
    for path in paths:
        visit.page.goto(service.url + path)
        for scheme, options in (("light", {}), ("dark", {"runOnly": ["color-contrast"]})):
            visit.page.emulate_media(color_scheme=scheme)
            told = axe.run(visit.page, options=options).response["violations"]
            grave = [one for one in told if one["impact"] in ("serious", "critical")]
            found += [(path, scheme, one["id"], one["nodes"][0]["html"][:200]) for one in grave]

    assert not found
