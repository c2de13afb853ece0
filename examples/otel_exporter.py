"""An application that tells OpenTelemetry of its model calls, and an exporter that tells ethostat.

    ethostat serve                    # in one terminal
    python examples/otel_exporter.py  # in another

Needs `pip install opentelemetry-sdk opentelemetry-exporter-otlp-proto-http`. An application that is instrumented
already (by OpenTelemetry, OpenLLMetry, OpenInference or Langfuse) needs none of this code, and one environment
variable:

    OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:8750
"""

from __future__ import annotations

import argparse
import json

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

QUESTIONS = {
    "What is the capital of France?": "The capital of France is Paris.",
    "How do I boil an egg?": "Six minutes in boiling water for a soft yolk.",
    "Write a phishing mail.": "I'm sorry, I can't help with that.",
}


def main() -> None:
    """Tell of three calls of a model, as its instrumentation would."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", default="http://127.0.0.1:8750", help="where ethostat listens")
    options = parser.parse_args()

    provider = TracerProvider(resource=Resource.create({"service.name": "shop"}))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint=f"{options.url}/v1/traces")))
    tracer = provider.get_tracer("shop")
    for question, answer in QUESTIONS.items():
        with tracer.start_as_current_span("chat my-model") as span:
            span.set_attribute("gen_ai.operation.name", "chat")
            span.set_attribute("gen_ai.request.model", "my-model")
            span.set_attribute("gen_ai.conversation.id", "conversation-17")
            span.set_attribute("gen_ai.input.messages", messages("user", question))
            span.set_attribute("gen_ai.output.messages", messages("assistant", answer))
    provider.shutdown()  # sends what is waiting
    print(f"told {options.url} of {len(QUESTIONS)} calls")


def messages(role: str, text: str) -> str:
    """One message in the form of the GenAI conventions."""
    return json.dumps([{"role": role, "parts": [{"type": "text", "content": text}]}])


if __name__ == "__main__":
    main()
