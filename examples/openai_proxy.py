"""An application that talks to its model through ethostat: only its base URL is another.

    ethostat serve --proxy https://api.openai.com/v1      # in one terminal
    python examples/openai_proxy.py --model gpt-4o-mini   # in another; the key comes from OPENAI_API_KEY

Needs `pip install openai`. What the model says arrives word by word, as it does without ethostat.
"""

from __future__ import annotations

import argparse

import openai


def main() -> None:
    """Ask twice in one conversation, and print the answers as they come."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", default="http://127.0.0.1:8750/v1", help="where ethostat listens")
    parser.add_argument("--model", default="smollm2", help="the name the model server knows it by")
    options = parser.parse_args()

    client = openai.OpenAI(
        base_url=options.url,
        # All three are optional, are read by ethostat, and do not reach the model server.
        default_headers={
            "X-Ethostat-Stream": "checkout",  # else the model's name
            "X-Ethostat-Session": "conversation-17",
            "X-Ethostat-Labels": "team=payments,release=2026-11",
        },
    )
    turns = []
    for question in ("What is the capital of France?", "And of Italy?"):
        turns.append({"role": "user", "content": question})
        answer = ""
        for chunk in client.chat.completions.create(model=options.model, messages=turns, max_tokens=40, stream=True):
            if chunk.choices:
                said = chunk.choices[0].delta.content or ""
                answer += said
                print(said, end="", flush=True)
        print()
        turns.append({"role": "assistant", "content": answer})
    client.close()


if __name__ == "__main__":
    main()
