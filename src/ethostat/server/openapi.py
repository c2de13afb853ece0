"""The API, described in OpenAPI 3.1."""

from __future__ import annotations

from typing import Any

from ethostat import __version__
from ethostat.server.answers import ENDPOINTS
from ethostat.server.ingest import JSON_TYPES, LINE_TYPES, MOST_EVENTS
from ethostat.taxonomy import Taxonomy

_TEXT, _NUMBER, _WHOLE, _YES = {"type": "string"}, {"type": "number"}, {"type": "integer"}, {"type": "boolean"}
_BYTES = {"type": "string", "format": "binary"}
_MOMENT = {"type": "string", "format": "date-time"}
_NAME = {"type": "string", "minLength": 1, "maxLength": 200}


def document(taxonomy: Taxonomy, *, is_proxied: bool = False) -> dict[str, Any]:
    """What `/openapi.json` says, for a service of these goals, which may forward traffic too."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "ethostat",
            "version": __version__,
            "description": "Responses of language models in; whether their behaviour changes, out.",
        },
        "paths": {**_paths(), **_paths_of_store(), **_paths_of_otlp(), **(_paths_of_proxy() if is_proxied else {})},
        "components": {"schemas": _schemas(taxonomy), "securitySchemes": {"key": {"type": "http", "scheme": "bearer"}}},
        "security": [{"key": []}, {}],
    }


def _paths() -> dict[str, Any]:
    stream, alert = _in_path("stream"), _in_path("id")
    limit = _in_query("limit", {**_WHOLE, "minimum": 0, "maximum": 1000})
    after = _in_query("after", {**_WHOLE, "minimum": 0})
    before, named = _in_query("before", {**_WHOLE, "minimum": 0}), _in_query("stream", _TEXT)
    since = _in_query("since", _MOMENT)
    minutes_limit = _in_query("limit", {**_WHOLE, "minimum": 0, "maximum": 10000})
    return {
        "/v1/events": {"post": _post_events()},
        "/v1/streams": {
            "get": _does("Streams by name", _list("streams", "Stream"), [limit, _in_query("after", _TEXT)])
        },
        "/v1/streams/{stream}": {
            "get": _does("One stream", _ref("Stream"), [stream]),
            "delete": _does("Forget a stream and all that is kept of it", None, [stream]),
        },
        "/v1/streams/{stream}/minutes": {
            "get": _does("Its last minutes", _list("minutes", "Minute"), [stream, minutes_limit, since])
        },
        "/v1/streams/{stream}/events": {
            "get": _does("Its log", _list("events", "LoggedEvent"), [stream, limit, after, _in_query("id", _TEXT)])
        },
        "/v1/streams/{stream}/baseline": {
            "get": _does("What is normal for it by now; null while it is learned", _object(), [stream]),
            "put": _does("A new baseline; evidence begins anew", _object(), [stream], body="NewBaseline"),
        },
        "/v1/streams/{stream}/monitor": {
            "get": _does("What watches it: promise, detector, goals, baseline", _ref("Monitor"), [stream])
        },
        "/v1/sessions/{session}": {
            "delete": _does("Drop the texts and labels of a session", _object(), [_in_path("session")])
        },
        "/v1/erasures": {
            "post": _does("What somebody said goes, or what is old; counts stay", _object(), [], body="Erasure")
        },
        "/v1/alerts": {"get": _does("Alerts, the latest first", _list("alerts", "Alert"), [limit, before, named])},
        "/v1/alerts/{id}": {"get": _does("One alert", _ref("Alert"), [alert])},
        "/v1/alerts/{id}/acknowledge": {"post": _does("Somebody looks at it", _ref("Alert"), [alert], body="Looked")},
        "/v1/alerts/{id}/snooze": {
            "post": _does("Say nothing for so many responses", _ref("Alert"), [alert], body="Snooze")
        },
        "/v1/alerts/{id}/expected": {
            "post": _does("The change was meant: learn it as normal", _ref("Alert"), [alert], body="Looked")
        },
        "/v1/deployments": {
            "get": _does("Declared versions", _list("deployments", "Deployment"), [limit]),
            "post": _does("A version is deployed", _ref("Deployment"), [], body="NewDeployment", status="201"),
        },
        "/v1/targets": {"get": _does("Where alerts go", _object(), [])},
        "/v1/targets/{name}/test": {
            "post": _does("Send a test message, and say whether it arrived", _object(), [_in_path("name")])
        },
        "/v1/deliveries": {
            "get": _does(
                "Deliveries: those that were given up, or in another state, or of one alert",
                _object(),
                [_in_query("state", {"enum": ["queued", "sent", "dead", "any"]}), _in_query("alert", _WHOLE)],
            )
        },
        "/v1/deliveries/{alert}/{target}/revive": {
            "post": _does("Try one of them again", _object(), [_number_in_path("alert"), _in_path("target")])
        },
        "/v1/keys": {"get": _does("API keys, without their secrets", _object(), [])},
        "/v1/keys/{prefix}/revoke": {"post": _does("End a key", _object(), [_in_path("prefix")])},
        "/v1/users": {"get": _does("Users", _object(), [])},
        "/v1/users/{name}/remove": {"post": _does("End a user", _object(), [_in_path("name")])},
        "/v1/audit": {"get": _does("Who did what", _object(), [limit, before])},
        "/v1/session": {
            "get": _does("Who calls", _object(), []),
            "post": _does("Log in; sets a cookie", _object(), [], body="Login"),
            "delete": _does("Log out", _object(), []),
        },
        "/healthz": {"get": _does("Whether the process lives", _object(), [])},
        "/readyz": {"get": _does("Whether every part can work now", _object(), [])},
        "/metrics": {
            "get": {
                "summary": "Metrics for Prometheus",
                "responses": {"200": {"description": "Text format", "content": {"text/plain": {"schema": _TEXT}}}},
            }
        },
        "/openapi.json": {"get": _does("This document", _object(), [])},
    }


def _paths_of_store() -> dict[str, Any]:
    run = _in_path("run")
    limit = _in_query("limit", {**_WHOLE, "minimum": 0, "maximum": 1000})
    return {
        "/v1/runs": {"get": _does("Runs of the store, the latest first", _list("runs", "Run"), [])},
        "/v1/runs/{run}": {
            "get": _does("Its Measurement, with what labels correct", _object(), [run]),
        },
        "/v1/runs/{run}/responses": {
            "get": _does(
                "Its responses",
                _list("responses", "StoredResponse"),
                [run, limit, _in_query("offset", {**_WHOLE, "minimum": 0})],
            )
        },
        "/v1/labels/{run}": {
            "get": _does("People's labels of its responses, as they stand", _object(), [run]),
            "post": _does("Label responses of it", _object({"labelled": _WHOLE}), [run], body="NewLabels"),
        },
        "/v1/reviews": {
            "post": _does(
                "A run to label: `run:ID`, or `stream:NAME`, whose kept responses become one",
                _object({"run": _TEXT, "go": _TEXT}),
                [],
                body="NewReview",
                status="201",
            )
        },
    }


def _paths_of_otlp() -> dict[str, Any]:
    """Bodies and answers are OpenTelemetry's own: opentelemetry.io/docs/specs/otlp."""
    kinds = {"application/json": {"schema": _object()}, "application/x-protobuf": {"schema": _BYTES}}
    statuses = {
        "200": "Taken, and on disk; what could not be used is in `partialSuccess`",
        "400": "It is no OTLP",
        "401": _REASONS["401"],
        "403": _REASONS["403"],
        "408": _REASONS["408"],
        "413": _REASONS["413"],
        "415": _REASONS["415"],
        "503": "More waits than may, or the database is gone; Retry-After says when",
    }
    answers = {status: {"description": said, "content": kinds} for status, said in statuses.items()}
    return {
        path: {"post": {"summary": f"OTLP/HTTP {what}", "requestBody": _required(kinds), "responses": answers}}
        for path, what in {"/v1/traces": "spans", "/v1/logs": "log records"}.items()
    }


def _paths_of_proxy() -> dict[str, Any]:
    """Bodies and answers are those of the model server: platform.openai.com/docs/api-reference."""
    ours = [
        {"name": f"X-Ethostat-{name}", "in": "header", "schema": _TEXT}
        for name in ("Stream", "Session", "Labels", "Key")
    ]
    answers = {
        "200": {"description": "What the model server answers, byte for byte; its other statuses too"},
        "401": {"description": _REASONS["401"]},
        "502": {"description": "The model server cannot be reached"},
    }
    body = _required({"application/json": {"schema": _object()}})
    return {
        f"/v1/{path}": {
            "post": {
                "summary": f"Forwarded to the model server: {endpoint}",
                "parameters": ours,
                "requestBody": body,
                "responses": answers,
            }
        }
        for path, endpoint in ENDPOINTS.items()
    }


def _required(content: dict[str, Any]) -> dict[str, Any]:
    return {"required": True, "content": content}


def _post_events() -> dict[str, Any]:
    answer = {"application/json": {"schema": _ref("Accepted")}}
    body = {kind: {"schema": _ref("Events")} for kind in JSON_TYPES}
    lines = {kind: {"schema": {**_TEXT, "description": "An Event a line."}} for kind in LINE_TYPES[:1]}
    return {
        "summary": "Events in; the accepted ones are on disk when this answers",
        "requestBody": {"required": True, "content": {**body, **lines}},
        "responses": {
            "200": {"description": "Some are on disk", "content": answer},
            "422": {"description": "None could be taken; why, event by event", "content": answer},
            **_errors("400", "401", "403", "408", "413", "415", "429", "503"),
        },
    }


def _does(
    summary: str, answer: dict[str, Any] | None, parameters: list[Any], *, body: str | None = None, status: str = "200"
) -> dict[str, Any]:
    done: dict[str, Any] = {"description": "Done"}
    if answer is None:
        status = "204"
    else:
        done["content"] = {"application/json": {"schema": answer}}
    known = ["400", "401", "403", "429", "503"]
    if any(one["in"] == "path" for one in parameters) or body == "NewDeployment":
        known.append("404")
    if body is not None:
        known += ["408", "413"]
    made: dict[str, Any] = {"summary": summary, "responses": {status: done, **_errors(*known)}}
    if parameters:
        made["parameters"] = parameters
    if body is not None:
        made["requestBody"] = {"required": True, "content": {"application/json": {"schema": _ref(body)}}}
    return made


def _errors(*statuses: str) -> dict[str, Any]:
    content = {"application/json": {"schema": _ref("Error")}}
    return {status: {"description": _REASONS[status], "content": content} for status in statuses}


_REASONS = {
    "400": "It breaks a rule",
    "401": "It needs a key or a session",
    "403": "The caller may not, or it comes from a page of somebody else",
    "404": "There is none",
    "408": "The body did not come",
    "413": "It is too large",
    "415": "Its type is not read here",
    "429": "More waits than may; Retry-After says when",
    "503": "The database cannot be written to now; Retry-After says when",
}


def _schemas(taxonomy: Taxonomy) -> dict[str, Any]:
    goal = {"type": "string", "enum": list(taxonomy.keys)}
    counts = {"type": "object", "properties": dict.fromkeys(taxonomy.keys, _NUMBER), "additionalProperties": False}
    by = {"by": _or_null(_NAME)}
    chances = {"type": "array", "items": {**_NUMBER, "minimum": 0, "maximum": 1}}
    turn = _object({"role": _TEXT, "content": _TEXT}, required=["role", "content"])
    label = {"anyOf": [_TEXT, _NUMBER, _YES]}
    event = {
        "id": {"anyOf": [_NAME, _WHOLE]},
        "stream": _NAME,
        "time": _or_null(_MOMENT),
        "prompt": _or_null(_TEXT),
        "messages": _or_null({"type": "array", "items": turn, "minItems": 1}),
        "response": _or_null(_TEXT),
        "goal": _or_null({**_TEXT, "description": f"One of {', '.join(taxonomy.keys)}, or its name."}),
        "probabilities": _or_null({**chances, "minItems": len(taxonomy.goals), "maxItems": len(taxonomy.goals)}),
        "session": _or_null({"anyOf": [_NAME, _WHOLE]}),
        "model": _or_null(_NAME),
        "labels": _or_null({"type": "object", "additionalProperties": label, "maxProperties": 32}),
    }
    estimate = _object(
        {"value": _or_null(_NUMBER), "low": _or_null(_NUMBER), "high": _or_null(_NUMBER)}
        | {"level": _NUMBER, "unit": _TEXT, "n": _WHOLE, "method": _TEXT}
    )
    return {
        "Event": _object(event, required=["id", "stream"]),
        "Events": _object(
            {"events": {"type": "array", "items": _ref("Event"), "maxItems": MOST_EVENTS}}, required=["events"]
        ),
        "Accepted": _object(
            {
                "accepted": _WHOLE,
                "duplicates": _WHOLE,
                "rejected": {"type": "array", "items": _object({"index": _WHOLE, "error": _TEXT})},
            }
        ),
        "Estimate": estimate,
        "Stream": _object(
            {
                "stream": _NAME,
                "state": {"type": "string", "enum": ["learning", "ok", "alert", "no-data"]},
                "count": _WHOLE,
                "failures": _WHOLE,
                "profile": counts,
                "entropy": _ref("Estimate"),
                "aligned": _ref("Estimate"),
                "epoch": _or_null(_object()),
                "baseline": _or_null(_TEXT),
                "evidence": _or_null(_object({"value": _NUMBER, "threshold": _NUMBER})),
                "lag": _object({"events": _WHOLE, "seconds": _NUMBER}),
                "updated": _or_null(_MOMENT),
            }
        ),
        "Monitor": _object(
            {
                "stream": _NAME,
                "promise": _object(),
                "detector": _TEXT,
                "stratified": _YES,
                "soft": _YES,
                "sessions": _or_null(_object()),
                "policy": _object(),
                "baseline": _object(),
                "taxonomy": _object({"name": _TEXT, "version": _TEXT, "hash": _TEXT}),
                "state": _TEXT,
                "epoch": _object(),
                "evidence": _or_null(_object()),
                "snoozed_until": _or_null(_WHOLE),
                "acknowledged": _YES,
            }
        ),
        "Run": _object(
            {"run": _TEXT, "model": _TEXT, "prompts": _TEXT, "samples": _or_null(_WHOLE), "status": _TEXT}
            | {"started": _TEXT, "finished": _or_null(_TEXT)}
            | {"entropy": _or_null(_ref("Estimate")), "aligned": _or_null(_ref("Estimate"))}
        ),
        "StoredResponse": _object(
            {"prompt_id": _TEXT, "index": _WHOLE, "messages": {"type": "array", "items": turn}, "response": _TEXT}
        ),
        "NewLabels": _object(
            {
                "rater": _NAME,
                "labels": {
                    "type": "array",
                    "minItems": 1,
                    "maxItems": 1000,
                    "items": _object(
                        {"prompt_id": _TEXT, "index": {**_WHOLE, "minimum": 0}, "goal": goal, "note": _or_null(_TEXT)},
                        required=["prompt_id", "goal"],
                    ),
                },
            },
            required=["labels"],
        ),
        "NewReview": _object({"of": _TEXT, "rater": _NAME}, required=["of"]),
        "Minute": _object(
            {"time": _or_null(_MOMENT), "profile": counts, "failures": _WHOLE, "entropy": _ref("Estimate")}
        ),
        "LoggedEvent": _object({"seq": _WHOLE, "id": _TEXT, "goal": _or_null(goal), "erased": _YES}),
        "Alert": _object(
            {"number": _WHOLE, "id": _TEXT, "stream": _NAME, "kind": _TEXT, "tier": _TEXT, "expected": _YES}
        ),
        "Deployment": _object({"id": _WHOLE, "version": _TEXT, "time": _or_null(_MOMENT)}),
        "NewBaseline": _object(
            {
                "first": _or_null({**_WHOLE, "minimum": 1, "maximum": 10**7}),
                "window": _or_null({**_WHOLE, "minimum": 1, "maximum": 100_000}),
                "responses": _or_null({"type": "array", "items": _WHOLE, "minItems": 2, "maxItems": 2}),
                "profile": _or_null(counts),
                "name": _or_null(_NAME),
            }
        ),
        "Erasure": _object(
            {
                "session": _or_null(_NAME),
                "label": _or_null(_object({"name": _NAME, "value": _TEXT}, required=["name", "value"])),
                "before": _or_null(_MOMENT),
                "stream": _or_null(_NAME),
            }
        ),
        "Looked": _object(by),
        "Snooze": _object({"responses": {**_WHOLE, "minimum": 1}, **by}),
        "NewDeployment": _object(
            {
                "version": _NAME,
                "streams": _or_null({"type": "array", "items": _NAME}),
                "note": _or_null({"type": "string", "maxLength": 2000}),
                "time": _or_null(_MOMENT),
                **by,
            },
            required=["version"],
        ),
        "Login": _object({"name": _NAME, "password": _TEXT}, required=["name", "password"]),
        "Error": _object({"error": _object({"kind": _TEXT, "message": _TEXT})}, required=["error"]),
    }


def _object(properties: dict[str, Any] | None = None, *, required: list[str] | None = None) -> dict[str, Any]:
    made: dict[str, Any] = {"type": "object"}
    if properties:
        made["properties"] = properties
    if required:
        made["required"] = required
    return made


def _list(name: str, of: str) -> dict[str, Any]:
    return _object({name: {"type": "array", "items": _ref(of)}}, required=[name])


def _ref(name: str) -> dict[str, Any]:
    return {"$ref": f"#/components/schemas/{name}"}


def _or_null(schema: dict[str, Any]) -> dict[str, Any]:
    return {"anyOf": [schema, {"type": "null"}]}


def _in_path(name: str) -> dict[str, Any]:
    return {"name": name, "in": "path", "required": True, "schema": _NAME}


def _number_in_path(name: str) -> dict[str, Any]:
    return {"name": name, "in": "path", "required": True, "schema": {**_WHOLE, "minimum": 1, "maximum": 2**31}}


def _in_query(name: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"name": name, "in": "query", "schema": schema}
