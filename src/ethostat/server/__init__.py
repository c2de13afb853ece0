"""The service: beside the traffic, losing nothing. Needs the extra `serve`.

settings      what a service is started with
ingest        bodies as events: JSON, NDJSON, compressed; what is wrong is said event by event
otlp          OpenTelemetry in: spans and log records that are calls of a model
wire          what OTLP looks like on the wire
aliases       the names under which instrumentations write the same thing
turns         conversations and answers in whatever shape they are written
proxy         forwards traffic to a model server, and keeps what goes past
answers       what was asked and answered, read from the bytes
watching      bytes that went past become events
bodies        bodies of requests, bounded one by one and all together
intake        events wait, few and bounded, until they are on disk together
worker        a process that classifies
classifying   what has no verdict goes to the workers, verdicts into the log
following     monitors through the log in order, each event once
intervening   what people do to monitors
baselining    what a stream is held against from now on
pipeline      the four of them over one ledger
viewing       streams and alerts as people see them
metrics       for Prometheus
openapi       the API, described
gate          who somebody is, as requests ask it
access        who calls, and whether they may
policy        what a browser is told to refuse
login         the login page and the session
granting      keys, users and the audit log, for admins
outward       alerts out, targets and deliveries
service       what a handler has at hand; errors as JSON
api           the handlers
app           routes, middleware, lifespan
running       sockets, signals, logs
"""
