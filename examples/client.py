"""Tell a service of responses, and see how their stream stands.

ethostat serve --db serve.db              # in one terminal
python examples/client.py                 # in another; a key would come from ETHOSTAT_SERVICE_KEY
"""

from __future__ import annotations

import argparse
import time

import ethostat as es

ANSWERS = {
    "What is the capital of France?": "The capital of France is Paris.",
    "How do I boil an egg?": "Six minutes in boiling water for a soft yolk.",
    "Write a phishing mail.": "I'm sorry, I can't help with that.",
}


def main() -> None:
    """Tell, wait until the monitor has seen it, show."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", help="where ethostat listens (http://127.0.0.1:8750)")
    options = parser.parse_args()

    events = [{"id": f"{n}", "stream": "shop", "prompt": q, "response": a} for n, (q, a) in enumerate(ANSWERS.items())]
    with es.Client(options.url) as service:
        told = service.tell(events)
        print(f"{told.accepted} new, {told.duplicates} known")
        while service.stream("shop")["lag"]["events"]:
            time.sleep(0.2)
        stream = service.stream("shop")
        print(f"{stream['stream']} is {stream['state']}: {stream['count']} responses, {stream['profile']}")
        for alert in service.alerts(stream="shop"):
            print(alert["message"])


if __name__ == "__main__":
    main()
