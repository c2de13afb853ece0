"""What deploy/ holds, held against the real tools and against what a real service shows."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import httpx
import pytest
import yaml
from typer.main import get_command

import ethostat as es
from ethostat.cli import app
from notifying.receivers import receiver
from programs import free_port, program, ran, running, until
from serving import FLAGS, serving, told

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
RULES = DEPLOY / "prometheus" / "rules.yml"
BOARD = json.loads((DEPLOY / "grafana" / "ethostat.json").read_text())
EXPRESSIONS = [
    pytest.param(target["expr"], id=f"{panel['title']}-{target['refId']}")
    for panel in BOARD["panels"]
    for target in panel.get("targets", ())
]
CHANGED = (0.2, 0.6, 0.1, 0.05, 0.05)
METRIC = re.compile(r"\b(?:ethostat|process)_[a-z_]+\b")


class Scraped:
    """A service and a Prometheus that scrapes it every half second, by the configuration that deploy/ has."""

    def __init__(self, page: str, url: str) -> None:
        self.page, self.client = page, httpx.Client(base_url=f"{url}/api/v1")

    def ask(self, path: str, **query: str) -> list:
        """The answer of its API."""
        answer = self.client.get(path, params=query).json()
        assert answer["status"] == "success", answer
        return answer["data"]

    def find(self, expression: str) -> list:
        """The series that an expression has now."""
        return self.ask("/query", query=expression)["result"]


@pytest.fixture(scope="module")
def scraped(tmp_path_factory):
    """Of a stream that changed, and of a proxy and evaluations whose servers are gone."""
    folder, port = tmp_path_factory.mktemp("scraped"), free_port()
    gone = ("--proxy", "http://127.0.0.1:9/v1", "--otlp-endpoint", "http://127.0.0.1:9")
    with serving(folder / "serve.db", *FLAGS, *gone) as one:
        config = yaml.safe_load((DEPLOY / "prometheus" / "prometheus.yml").read_text())
        config["global"] = {"scrape_interval": "500ms", "evaluation_interval": "500ms"}
        config["rule_files"] = [str(RULES)]
        config["scrape_configs"][0]["static_configs"][0]["targets"] = [f"127.0.0.1:{one.port}"]
        (folder / "prometheus.yml").write_text(yaml.safe_dump(config))
        one.tell(told(200))
        one.wait_for(200)
        flags = (f"--config.file={folder / 'prometheus.yml'}", f"--storage.tsdb.path={folder / 'data'}")
        where, url = f"--web.listen-address=127.0.0.1:{port}", f"http://127.0.0.1:{port}"
        with running("prometheus", *flags, where, log=folder / "log", ready=f"{url}/-/ready"):
            this = Scraped("", url)
            until(lambda: this.find("ethostat_events_total"), what=lambda: this.ask("/targets"))
            one.tell([*told(100, start=1000, shares=CHANGED), {"id": "text", "stream": "chat", "response": "g1"}])
            one.wait_for(301)
            until(lambda: this.find('increase(ethostat_alerts_total{tier="page"}[1m])'))
            this.page = one.client.get("/metrics").text
            yield this
            this.client.close()


def test_the_rules_say_what_they_are_meant_to():
    """promtool reads the rules and the configuration, and the rules' own tests hold."""
    for arguments in (
        ("check", "rules", str(RULES)),
        ("check", "config", str(DEPLOY / "prometheus" / "prometheus.yml")),
        ("test", "rules", str(DEPLOY / "prometheus" / "rules_test.yml")),
    ):
        done = ran("promtool", *arguments)
        assert done.returncode == 0, done.stdout + done.stderr


def test_every_rule_has_a_test():
    """rules_test.yml names each alert, save those whose expressions it would only repeat."""
    alerts = {rule["alert"] for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]}
    tested = set(re.findall(r"alertname: (\w+)", (DEPLOY / "prometheus" / "rules_test.yml").read_text()))

    assert tested <= alerts
    assert alerts - tested == {
        "EthostatQueueFilling", "EthostatCommitsSlow", "EthostatWorkersDie", "EthostatStreamsLeftOut",
        "EthostatStreamSilent",
    }  # fmt: skip


def test_metrics_are_as_prometheus_wants_them(scraped):
    """promtool finds no fault in the page of a real service."""
    done = ran("promtool", "check", "metrics", given=scraped.page)

    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_every_metric_that_is_named_is_shown(scraped):
    """The dashboard, the rules and the documentation name no metric that a service does not have."""
    there = set(scraped.ask("/label/__name__/values"))
    documented = (ROOT / "docs" / "serve.md").read_text().split("## Metrics")[1].split("\n## ")[0]

    for text in ((DEPLOY / "grafana" / "ethostat.json").read_text(), RULES.read_text()):
        assert set(METRIC.findall(text)) - there == set()
    for name in METRIC.findall(documented):
        assert {name, f"{name}_bucket"} & there, name


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_every_panel_shows_something(scraped, expression):
    """Each expression of the dashboard, with its variables filled in as Grafana does, has series."""
    filled = re.sub(r"\$(stream|tenant|instance)", ".*", expression).replace("$__rate_interval", "1m")

    assert until(lambda: scraped.find(filled), seconds=10, what=lambda: filled)


def test_rules_fire_for_what_happened(scraped):
    """Prometheus evaluates all rules; the stream that changed fires, and nothing else does."""
    rules = [rule for group in scraped.ask("/rules")["groups"] for rule in group["rules"]]
    firing = until(lambda: {one["labels"]["alertname"] for one in scraped.ask("/alerts")["alerts"]})

    assert {rule["health"] for rule in rules} == {"ok"}
    assert firing == {"EthostatStreamChanged"}


def test_alertmanager_is_told_once_and_told_when_it_is_over(tmp_path):
    """A real Alertmanager takes our alert, counts the same one told again once, and resolves it when we say so."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    with receiver() as hook:
        hooked = [{"name": "us", "webhook_configs": [{"url": hook.url, "send_resolved": True}]}]
        route = {"receiver": "us", "group_by": ["..."], "group_wait": "0s", "group_interval": "1s"}
        (tmp_path / "am.yml").write_text(yaml.safe_dump({"route": route, "receivers": hooked}))
        (tmp_path / "targets.yaml").write_text(
            yaml.safe_dump({"targets": {"am": {"alertmanager": url, "allow": ["127.0.0.1"]}}})
        )
        flags = (f"--config.file={tmp_path / 'am.yml'}", f"--storage.path={tmp_path / 'am'}")
        alone = (f"--web.listen-address=127.0.0.1:{port}", "--cluster.listen-address=")
        with running("prometheus-alertmanager", *flags, *alone, log=tmp_path / "am.log", ready=f"{url}/-/ready"):
            with serving(tmp_path / "serve.db", *FLAGS, "--notify", str(tmp_path / "targets.yaml")) as one:
                one.tell([*told(200), *told(100, start=1000, shares=CHANGED)])
                one.wait_for(300)
                page = next(a for a in one.get("/v1/alerts")["alerts"] if a["tier"] == "page")
                (fired,) = until(lambda: _pages(url))
                until(lambda: _told(hook) == ["firing"])
                es.notify(page, f"alertmanager+{url}", allow=("127.0.0.1",), stream="chat")
                (again,) = _pages(url)
                one.client.post(f"/v1/alerts/{page['id']}/expected", json={})
                one.tell(told(1, start=5000))
                until(lambda: not _pages(url))
                until(lambda: len(_told(hook)) > 1)

    assert fired["labels"]["alertname"] == "EthostatChange"
    assert fired["annotations"]["summary"] == page["message"]
    assert again["fingerprint"] == fired["fingerprint"]
    assert _told(hook) == ["firing", "resolved"]


def _told(hook) -> list[str]:
    """What Alertmanager said of the page to whoever it tells."""
    said = [json.loads(got.body) for got in hook.got]
    return [one["status"] for one in said if one["commonLabels"].get("severity") == "page"]


def _pages(url: str) -> list:
    found = httpx.get(f"{url}/api/v2/alerts", params={"filter": 'severity="page"'}).json()
    return [one for one in found if one["status"]["state"] == "active"]


def test_the_unit_is_read_by_systemd(tmp_path):
    """systemd finds no fault in it, and calls it well confined."""
    unit = (DEPLOY / "systemd" / "ethostat.service").read_text()
    here = tmp_path / "ethostat.service"
    here.write_text(unit.replace("/opt/ethostat/bin/ethostat", program("sh")))

    verified = ran("systemd-analyze", "verify", str(here))
    confined = ran("systemd-analyze", "security", "--offline=yes", "--threshold=15", "--no-pager", str(here))
    assert (verified.returncode, verified.stderr) == (0, "")
    assert confined.returncode == 0, confined.stdout


def _commands() -> list[list[str]]:
    unit = (DEPLOY / "systemd" / "ethostat.service").read_text()
    image = (DEPLOY / "docker" / "Dockerfile").read_text()
    compose = (DEPLOY / "docker" / "compose.yml").read_text()
    (pod,) = [one for one in _manifests() if one["kind"] == "Deployment"]
    container = pod["spec"]["template"]["spec"]["containers"][0]
    return [
        shlex.split(re.search(r"^ExecStart=\S+ (.*)$", unit, re.MULTILINE)[1]),
        json.loads(re.search(r"^CMD (\[.*\])$", image, re.MULTILINE)[1]),
        shlex.split(re.search(r"^ +ethostat (keys add .*) >", compose, re.MULTILINE)[1]),
        container["args"],
    ]


def _manifests() -> list[dict]:
    return list(yaml.safe_load_all((DEPLOY / "kubernetes" / "ethostat.yaml").read_text()))


def test_every_command_and_variable_is_ours():
    """The command lines of unit, image and manifests parse, and each ETHOSTAT_ variable sets an option."""
    known = {"ETHOSTAT_WEBHOOK_SECRET"}
    for arguments in _commands():
        command, rest = get_command(app), list(arguments)
        while commands := getattr(command, "commands", None):
            command = commands[rest.pop(0)]
        assert command.make_context("ethostat", rest).params
    for command in get_command(app).commands.values():
        known |= {str(parameter.envvar) for parameter in command.params if getattr(parameter, "envvar", None)}
    named = {
        name
        for path in DEPLOY.rglob("*")
        if path.is_file()
        for name in re.findall(r"\bETHOSTAT_[A-Z_]+\b", path.read_text())
    }

    assert named - known == {"ETHOSTAT_API_KEY"}


def test_every_file_that_is_mounted_or_copied_is_there():
    """What compose mounts and the image copies exists, and the service it probes is at the port it listens on."""
    compose = yaml.safe_load((DEPLOY / "docker" / "compose.yml").read_text())
    volumes = [one for service in compose["services"].values() for one in service.get("volumes", ())]
    copied = re.findall(r"^COPY (?!--from)(.+) \S+$", (DEPLOY / "docker" / "Dockerfile").read_text(), re.MULTILINE)

    for one in volumes:
        source = one.split(":")[0]
        assert source in compose["volumes"] or (DEPLOY / "docker" / source).exists(), one
    for source in " ".join(copied).split():
        assert (ROOT / source).exists(), source
    pod = next(one for one in _manifests() if one["kind"] == "Deployment")["spec"]["template"]["spec"]
    assert pod["containers"][0]["ports"][0]["containerPort"] == 8750
