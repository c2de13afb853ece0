"""The report as a file: what it says and what it can never hold."""

import json
import math
import re
import time
from pathlib import Path

import pytest

from ethostat.errors import InvalidInput
from ethostat.measurement import Measurement
from ethostat.report import html, markdown, write_report
from ethostat.report.embed import json_text, script_hash
from ethostat.report.plain import escape
from ethostat.taxonomy import FIVE_GOALS
from ethostat.visible import spelt
from report_cases import HOSTILE, atypical, hostile, measured


def _embedded(page: str, name: str) -> dict[str, object]:
    found = re.search(rf'<script type="application/json" id="{name}">(.*?)</script>', page, re.DOTALL)
    assert found is not None
    return dict(json.loads(found[1]))


def test_the_page_states_the_headline_with_its_interval_and_meaning() -> None:
    """Value, interval, n, scale and blind spot of S are text of the page, not of a chart."""
    measurement, _ = measured()
    s = measurement.entropy

    page = html(measurement, taxonomy=FIVE_GOALS)

    for text in (f"{s.value:.3f}", f"{s.low:.3f} to {s.high:.3f}", "ln 5 = 1.609", "does not tell good from bad"):
        assert text in page


def test_one_response_a_prompt_is_called_pooled_only() -> None:
    """Where no prompt was repeated the page says plainly that only the pooled S is known."""
    measurement, rows = measured(samples=1)

    page = html(measurement, taxonomy=FIVE_GOALS, responses=rows)

    assert math.isnan(measurement.entropy.value)
    assert "Pooled only." in page
    assert "Every prompt was answered once" in page


def test_the_page_names_nothing_that_a_browser_would_fetch() -> None:
    """Outside of plotly's own code there is no address, and the policy forbids every source but the two scripts."""
    measurement, rows = measured()
    page = html(measurement, taxonomy=FIVE_GOALS, responses=rows)
    scripts = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)

    rest = re.sub(r"<script>.*?</script>", "", page, flags=re.DOTALL)

    assert not re.search(r"https?://|(?:src|action)=|@import|url\(", rest)
    assert "default-src &#39;none&#39;" in rest or "default-src 'none'" in rest
    assert "unsafe-eval" not in rest
    policy = rest.split('http-equiv="Content-Security-Policy"')[1].split(">")[0]
    assert len(scripts) == 2
    for script in scripts:
        assert script_hash(script).strip("'") in policy.replace("&#43;", "+")


def test_every_response_is_embedded_once_with_its_goal() -> None:
    """The evidence holds each response under its prompt, with goal, probability, text and seed."""
    measurement, rows = measured()

    evidence = _embedded(html(measurement, taxonomy=FIVE_GOALS, responses=rows), "evidence")

    assert len(evidence["responses"]) == 48  # type: ignore[arg-type]
    assert evidence["responses"][1][:4] == [0, 0, 1.0, "An answer. 1"]  # type: ignore[index]


def test_what_fits_no_goal_is_listed_with_its_text() -> None:
    """Ten responses are flagged by goal, the least typical first, each with id, typicality, prompt and text."""
    measurement, rows = atypical()

    page = html(measurement, taxonomy=FIVE_GOALS, responses=rows)
    section = page.split('<section id="outside"')[1].split("</section>")[0]

    assert "10 of 80 are flagged at a false discovery rate of 10%" in section
    assert section.index("<code>p0/7</code>") < section.index("<code>p9/7</code>") < section.index("typicality 0.1000")
    assert section.count('class="answer flagged"') == 10
    assert '<p class="said">An answer. 7</p>' in section
    assert '<p class="said soft">Question 3?</p>' in section
    assert words_of(measurement.outside.share) in section


def words_of(share) -> str:
    """The interval of a share, as the page prints it."""
    return f"{share.low:.1%} to {share.high:.1%}"


def test_without_typicality_the_page_says_nothing_of_it() -> None:
    """No section, no link and no sentence where the classifier gives none, in page and Markdown."""
    measurement, rows = measured()

    assert "outside" not in markdown(measurement, FIVE_GOALS)
    page = html(measurement, taxonomy=FIVE_GOALS, responses=rows)
    assert 'id="outside"' not in page
    assert "What fits no goal" not in page


def test_markdown_lists_ids_to_review() -> None:
    """The comment has the share, the flagged and ten ids, and no text of a response."""
    measurement, _ = atypical()

    text = markdown(measurement, FIVE_GOALS)
    assert "Unusual beyond chance, perhaps outside every goal: 0." in text
    assert "| `p0/7` | `p0` | g1 | 0.0020 | yes |" in text
    assert "An answer" not in text


def test_hostile_text_cannot_leave_its_element() -> None:
    """No attack appears unescaped, and the embedded JSON holds no sign that HTML reads."""
    measurement, rows, taxonomy = hostile()

    page = html(measurement, taxonomy=taxonomy, responses=rows)

    outside = re.sub(r"<script>.*?</script>", "", page, flags=re.DOTALL)
    assert "<script>alert" not in outside
    assert "<img" not in outside
    assert "{{ 7 * 7 }}" in outside
    assert not set("\x00\x1b\u202e\u2028\ud800") & set(outside)
    assert _embedded(page, "evidence")["goals"]
    page.encode()


def test_a_taxonomy_of_other_goals_is_refused() -> None:
    """The goals of taxonomy and measurement must be the same."""
    measurement, _, taxonomy = hostile()

    with pytest.raises(InvalidInput, match="pass the taxonomy"):
        html(measurement, taxonomy=FIVE_GOALS)
    assert html(measurement, taxonomy=taxonomy)


def test_ten_thousand_responses_are_written_in_seconds() -> None:
    """100 prompts x 100 responses of 600 characters take less than 5 s of one core and stay below 16 MB."""
    measurement, rows = measured(prompts=100, samples=100, words="word " * 120)
    begun = time.process_time()

    page = html(measurement, taxonomy=FIVE_GOALS, responses=rows)

    assert time.process_time() - begun < 5
    assert len(page) < 16e6


def test_the_suffix_decides_what_is_written(tmp_path: Path) -> None:
    """.html, .md and .json are written; the JSON reads back as the same measurement; others are refused."""
    measurement, rows = measured()
    for name in ("r.html", "r.md", "r.json"):
        write_report(tmp_path / name, measurement, taxonomy=FIVE_GOALS, responses=rows)

    assert (tmp_path / "r.html").read_text().startswith("<!doctype html>")
    assert (tmp_path / "r.md").read_text() == markdown(measurement, FIVE_GOALS)
    again = Measurement.from_dict(json.loads((tmp_path / "r.json").read_text()))
    assert again.to_dict() == measurement.to_dict()
    with pytest.raises(InvalidInput, match=r"\.html, \.md, \.json, \.png or \.svg, got '\.pdf'"):
        write_report(tmp_path / "r.pdf", measurement, taxonomy=FIVE_GOALS)


def test_markdown_holds_every_share_and_entropy() -> None:
    """The comment for a pull request has the profile, the four entropies and the most uncertain prompts."""
    measurement, _ = measured()

    text = markdown(measurement, FIVE_GOALS)

    for share in measurement.shares:
        assert f"| {share.value:.1%} | {share.low:.1%} to {share.high:.1%} |" in text
    for name in ("Within, these prompts", "Within, prompts like these", "Between prompts", "Pooled"):
        assert f"| {name} |" in text
    assert "| `p4` |" in text


def test_hostile_names_are_inert_in_markdown() -> None:
    """No tag, image, link, mention or line break of a name survives outside of a code span."""
    measurement, _, taxonomy = hostile()

    text = markdown(measurement, taxonomy)

    outside = re.sub(r"(`+) ?.*? ?\1", "", text)
    assert not re.search(r"<[a-z/]|(?<!\\)!\\?\[|@\w|[\x00\x1b\u202e\ud800]", outside)
    for line in text.splitlines():
        if line.startswith("| g"):
            assert len(re.findall(r"(?<!\\)\|", line)) == 6


@pytest.mark.parametrize("text", HOSTILE)
def test_json_in_a_page_reads_back_as_the_visible_text(text: str) -> None:
    """What is escaped for the page is, once parsed, what a reader should see."""
    seen = spelt(text)

    assert json.loads(json_text([seen])) == [seen]
    assert not set("<>&\u2028\u2029") & set(json_text([seen]))


def test_what_cannot_be_seen_is_shown() -> None:
    """A control character, an override and a lone surrogate have their code points; tab and newline stay."""
    assert spelt("a\x00\x1b\u202e\ud800\t\n\r\n") == "a⟨U+0000⟩⟨U+001B⟩⟨U+202E⟩⟨U+D800⟩\t\n\n"


def test_escaped_markdown_mentions_nobody() -> None:
    """A sign that Markdown or GitHub reads is escaped or parted from what follows."""
    assert escape("@all *x* [y](z) <b>") == "@\u2060all \\*x\\* \\[y\\]\\(z\\) &lt;b&gt;"
