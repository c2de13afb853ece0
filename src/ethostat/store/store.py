"""Store: runs and their responses in a database. It forgets no response and keeps none twice."""

from __future__ import annotations

import difflib
import secrets
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

from sqlalchemy import Connection, Row, Select, and_, delete, exists, func, insert, select, tuple_, update
from sqlalchemy.exc import IntegrityError

from ethostat.conversation import Conversation, Retelling, split_id, turn_id
from ethostat.errors import InvalidInput, StoreError
from ethostat.response import Failure, Label, Message, Prompt, PromptSet, Response, Verdict
from ethostat.store import tables as t
from ethostat.store.database import lock_path, open_database, read_url, shown, translated, writing
from ethostat.store.holding import Holds
from ethostat.store.labels import WAYS, Act, Choice, ChosenRow, labels_of
from ethostat.store.records import CONVERSATION, FAILED, FINISHED, RUNNING, Run, RunSetup, Tally

_PAGE = 1000
_BATCH = 500
_MOST = 2**63
# Runs are numbered from 1.
_STORE_ITSELF = 0
_Item = TypeVar("_Item")
Place = tuple[int, int]
"""Prompt key and index: where a response stands within its run."""


@dataclass(frozen=True, slots=True)
class _Frame:
    """What every read and write of one run needs: its row number and its prompts with theirs."""

    key: int
    prompts: Mapping[int, Prompt]
    keys: Mapping[str, int]
    conversation: Conversation | None = None

    def telling(self) -> Callable[[Response], Response]:
        """What gives a response the prompt that the model was shown: in a conversation, with what came before."""
        return Retelling(self.conversation) if self.conversation else lambda response: response

    def before(self, prompt_key: int) -> list[int]:
        """The keys of the turns that a conversation may still remember at this one, the oldest first."""
        if self.conversation is None:
            return []
        replicate, step = split_id(self.prompts[prompt_key].id)
        steps = range(max(1, step - self.conversation.window.exchanges), step)
        return [self.keys[turn_id(replicate, n)] for n in steps]

    def place(self, prompt_id: str, index: int) -> Place:
        try:
            return self.keys[prompt_id], index
        except KeyError:
            raise InvalidInput(f"prompt {prompt_id!r} is not in this run's prompt set; start another run") from None


class Store:
    """Runs, prompts, responses, verdicts, labels and failures in a database.

    `database` is a path (a SQLite file, made if absent unless `create` is false) or a SQLAlchemy URL. A method
    that writes returns when what it wrote is on disk. Every method may be called from any thread. Raises
    StoreError, naming the database without its password, where it cannot do what was asked.
    """

    def __init__(self, database: str | Path, *, create: bool = True) -> None:
        self._url = read_url(database)
        self._engine = open_database(self._url, create=create)
        self._frames: dict[str, _Frame] = {}
        self._holds = Holds(lock_path(self._url))

    @property
    def name(self) -> str:
        """The path or URL as it may be printed."""
        return shown(self._url)

    def close(self) -> None:
        """Release the connections and the runs. Safe to call twice."""
        self._holds.close()
        self._engine.dispose()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    @contextmanager
    def one_at_a_time(self) -> Iterator[None]:
        """Only one process is in here with the same file; others wait. A database that is no file keeps nobody out."""
        try:
            self._holds.wait_for(_STORE_ITSELF)
        except OSError as error:
            raise StoreError(f"{self.name} cannot be locked ({error.strerror}); check its folder") from error
        try:
            yield
        finally:
            self._holds.release(_STORE_ITSELF)

    # Runs

    def start_run(self, setup: RunSetup, *, now: datetime | None = None) -> Run:
        """A new run with status "running", held by this process; its prompt set is stored once for all runs."""
        started = now or datetime.now(UTC)
        run_id = f"{started:%Y%m%dT%H%M%S}-{secrets.token_hex(3)}"
        with translated(self._url):
            _once_more(partial(self._add_prompts, setup.prompts))
            with writing(self._engine) as connection:
                connection.execute(insert(t.runs), _run_row(setup, run_id, started))
        self._hold(run_id)
        return self.get_run(run_id)

    def unfinished_run(self, fingerprint: str) -> Run | None:
        """The latest run with this fingerprint that was not finished: the one to resume."""
        query = select(t.runs).where(t.runs.c.fingerprint == fingerprint, t.runs.c.status != FINISHED)
        rows = self._rows(query.order_by(t.runs.c.key.desc()).limit(1))
        return _run_from(rows[0]) if rows else None

    def finish_run(self, run_id: str, measurement: Mapping[str, Any] | None = None) -> Run:
        """Mark a run as finished, with what was measured."""
        finished = datetime.now(UTC).isoformat(timespec="seconds")
        run = self._change(run_id, status=FINISHED, finished=finished, measurement=measurement)
        self._holds.release(self._frame(run_id).key)
        return run

    def fail_run(self, run_id: str) -> Run:
        """Mark a run as failed. Its responses stay, and it can be resumed."""
        run = self._change(run_id, status=FAILED, finished=None)
        self._holds.release(self._frame(run_id).key)
        return run

    def resume_run(self, run_id: str) -> Run:
        """Mark a run as running again. Raises StoreError while another process on this machine samples it."""
        self._hold(run_id)
        return self._change(run_id, status=RUNNING, finished=None)

    def get_run(self, name: str) -> Run:
        """The run with this id, the one whose id begins so, or the "latest". Raises InvalidInput naming near ones."""
        query = select(t.runs).order_by(t.runs.c.key.desc())
        if name == "latest":
            found = self._rows(query.limit(1))
        else:
            found = self._rows(query.where(t.runs.c.id.startswith(name, autoescape=True)).limit(6)) if name else []
        if len(found) == 1 or (found and found[0].id == name):
            return _run_from(found[0])
        if found:
            raise InvalidInput(f"run {name!r} could be {', '.join(row.id for row in found)}; give more of its id")
        raise InvalidInput(self._no_such_run(name))

    def runs(self, *, limit: int | None = None, model: str | None = None) -> list[Run]:
        """Runs, the latest first; of all models, or of this one."""
        query = select(t.runs).order_by(t.runs.c.key.desc()).limit(limit)
        if model is not None:
            query = query.where(t.runs.c.model == model)
        return [_run_from(row) for row in self._rows(query)]

    def delete_run(self, run_id: str) -> None:
        """Forget a run, and of its responses, verdicts and prompts those that no other run uses."""
        run = self.get_run(run_id)
        self._frames.pop(run.id, None)
        with translated(self._url), writing(self._engine) as connection:
            connection.execute(delete(t.runs).where(t.runs.c.id == run.id))
            for table, user, link in (
                (t.responses, t.draws, t.draws.c.response_key == t.responses.c.key),
                (t.prompt_sets, t.runs, t.runs.c.prompts_hash == t.prompt_sets.c.hash),
                (t.contents, t.prompts, t.prompts.c.content_hash == t.contents.c.hash),
            ):
                connection.execute(delete(table).where(~exists(select(1).select_from(user).where(link))))

    def prompts(self, run_id: str) -> PromptSet:
        """The prompt set of a run, as it was given."""
        run = self.get_run(run_id)
        return PromptSet(run.prompts_name, tuple(self._frame(run.id).prompts.values()))

    # Responses

    def add_responses(self, run_id: str, responses: Iterable[Response]) -> int:
        """Store responses, on disk when this returns; gives how many were new.

        Adding a (prompt, index) of the run again changes nothing. A failure noted for it is forgotten.
        """
        frame = self._frame(run_id)
        unique: dict[Place, Response] = {}
        for response in responses:
            place = frame.place(response.prompt.id, response.index)
            if unique.setdefault(place, response).text != response.text:
                at = f"index {response.index} to prompt {response.prompt.id!r}"
                raise InvalidInput(f"there are two responses with {at}; each needs an index of its own")
        added = 0
        with translated(self._url):
            for batch in _batches(list(unique.items()), _BATCH):
                added += _once_more(partial(self._add_batch, frame, dict(batch)))
        return added

    def have(self, run_id: str) -> dict[str, set[int]]:
        """Which indices of which prompts are stored."""
        frame = self._frame(run_id)
        found: dict[str, set[int]] = {}
        for key, index in self._rows(select(t.draws.c.prompt_key, t.draws.c.idx).where(t.draws.c.run_key == frame.key)):
            found.setdefault(frame.prompts[key].id, set()).add(index)
        return found

    def responses(self, run_id: str) -> Iterator[Response]:
        """The responses of a run by prompt and index, read page by page.

        Those of a conversation have the prompt that the model was shown: the turn, and before it what was said so far.
        """
        frame = self._frame(run_id)
        shown = frame.telling()
        for row in self._pages(frame, _DRAWN):
            yield shown(_response_from(frame, row))

    def tally(self, run_id: str) -> Tally:
        """How many responses and failures a run has."""
        key = self._frame(run_id).key
        counts = select(func.count(), func.count(t.draws.c.reused_from)).where(t.draws.c.run_key == key)
        failed = select(func.count()).select_from(t.failures).where(t.failures.c.run_key == key)
        total, reused = self._rows(counts)[0]
        return Tally(total, reused, self._rows(failed)[0][0])

    def reuse(self, run_id: str, samples: int | Mapping[str, int]) -> int:
        """Take responses that other runs paid for; gives how many were taken.

        `samples` is how many responses a prompt (or each prompt id) is to have. A stored response fits if model
        identity, decoding, run seed, prompt content and index are equal: asked again, it would get the same seed.
        It is linked, not copied; the draw notes the run that it came from.
        """
        run, frame, have = self.get_run(run_id), self._frame(run_id), self.have(run_id)
        if run.seed is None:
            return 0
        wanted = {
            (key, index)
            for key, prompt in frame.prompts.items()
            for index in range(samples if isinstance(samples, int) else samples.get(prompt.id, 0))
            if index not in have.get(prompt.id, ())
        }
        contents = sorted({frame.prompts[key].hash for key, _ in wanted})
        with translated(self._url):
            return sum(self._link(run, frame, batch, wanted) for batch in _batches(contents, _BATCH))

    # Failures

    def add_failures(self, run_id: str, failures: Iterable[Failure]) -> None:
        """Note responses that did not come; a later note replaces an earlier one."""
        frame = self._frame(run_id)
        rows = {frame.place(failure.prompt_id, failure.index): failure for failure in failures}
        with translated(self._url):
            for batch in _batches(list(rows.items()), _BATCH):
                with writing(self._engine) as connection:
                    _forget_failures(connection, frame, [place for place, _ in batch])
                    connection.execute(insert(t.failures), [_failure_row(frame, *item) for item in batch])

    def failures(self, run_id: str) -> list[Failure]:
        """What did not come, by prompt and index."""
        frame = self._frame(run_id)
        query = select(t.failures).where(t.failures.c.run_key == frame.key)
        rows = self._rows(query.order_by(t.failures.c.prompt_key, t.failures.c.idx))
        return [Failure(frame.prompts[row.prompt_key].id, row.idx, row.kind, row.message) for row in rows]

    # Verdicts

    def add_verdicts(
        self, run_id: str, classifier_hash: str, responses: Sequence[Response], verdicts: Sequence[Verdict]
    ) -> None:
        """Store one verdict a response, in the same order. A verdict that is there already stands."""
        frame = self._frame(run_id)
        places = [frame.place(response.prompt.id, response.index) for response in responses]
        with translated(self._url):
            for batch in _batches(list(zip(places, verdicts, strict=True)), _BATCH):
                _once_more(partial(self._judge, frame, classifier_hash, dict(batch)))

    def verdicts(self, run_id: str, classifier_hash: str) -> Iterator[Verdict]:
        """What a classifier thinks of the run's responses, by prompt and index, read page by page."""
        return (verdict for _, verdict in self.judged(run_id, classifier_hash) if verdict is not None)

    def judged(self, run_id: str, classifier_hash: str | None) -> Iterator[tuple[Response, Verdict | None]]:
        """Every response of the run with its verdict, None where the classifier has not seen it."""
        frame = self._frame(run_id)
        shown = frame.telling()
        for row in self._pages(frame, _judged(classifier_hash)):
            response = shown(_response_from(frame, row))
            verdict = None
            if row.goal is not None:
                chances = tuple(map(float, row.probabilities))
                verdict = Verdict(response.prompt.id, response.id, row.goal, chances, row.typicality)
            yield response, verdict

    def unclassified(self, run_id: str, classifier_hash: str) -> Iterator[Response]:
        """The run's responses that the classifier has not seen. Verdicts may be added while this is read."""
        frame = self._frame(run_id)
        if frame.conversation:  # what was said before a response is in the responses before it, seen or not
            yield from (response for response, verdict in self.judged(run_id, classifier_hash) if verdict is None)
            return
        for row in self._pages(frame, _judged(classifier_hash).where(t.verdicts.c.goal.is_(None))):
            yield _response_from(frame, row)

    # Labels

    def add_choice(self, run_id: str, choice: Choice) -> Choice:
        """Record which rows people are to label; gives the one that is stored already where there is an equal one."""
        frame = self._frame(run_id)
        with translated(self._url):
            _once_more(partial(self._add_choice, frame, choice))
        return next(one for one in self.choices(run_id) if one.fingerprint == choice.fingerprint)

    def choices(self, run_id: str) -> list[Choice]:
        """What was chosen for labelling from this run, the oldest first."""
        frame = self._frame(run_id)
        rows = self._rows(select(t.choices).where(t.choices.c.run_key == frame.key).order_by(t.choices.c.key))
        return [_choice_from(row, self._chosen_rows(frame, row.key)) for row in rows]

    def add_act(self, run_id: str, act: Act) -> Act:
        """Store what a rater did with a row, on disk when this returns; gives it with its key."""
        frame = self._frame(run_id)
        place = frame.place(act.prompt_id, act.index)
        response = select(t.draws.c.response_key).where(t.draws.c.run_key == frame.key, _at([place]))
        with translated(self._url), writing(self._engine) as connection:
            key = connection.scalar(response)
            if key is None:
                raise InvalidInput(
                    f"response {act.index} to prompt {act.prompt_id!r} is not stored; label a stored one"
                )
            act = replace(act, time=act.time or _now())
            stored = insert(t.acts).values(response_key=key, **_act_row(act)).returning(t.acts.c.key)
            return replace(act, key=connection.execute(stored).scalar_one())

    def acts(self, run_id: str, *, after: int = 0) -> list[Act]:
        """What raters did with the rows of a run, the oldest first; with `after`, only what has a larger key."""
        frame = self._frame(run_id)
        query = select(t.acts, t.draws.c.prompt_key, t.draws.c.idx).join(
            t.draws, t.draws.c.response_key == t.acts.c.response_key
        )
        query = query.where(t.draws.c.run_key == frame.key, t.acts.c.key > after).order_by(t.acts.c.key)
        return [_act_from(frame, row) for row in self._rows(query)]

    def labels(
        self, run_id: str, *, taxonomy_hash: str | None = None, classifier_hash: str | None = None
    ) -> list[Label]:
        """The labels that stand, of all raters, in the order in which they were given; skips and notes are none.

        A label is of the response: every run that shares it has it. With `taxonomy_hash` only labels under those
        goals. `chosen` and `predicted` are of the rows' choices; with `classifier_hash` only of choices that this
        classifier's verdicts made, or that needed none.
        """
        frame = self._frame(run_id)
        acts = [act for act in self.acts(run_id) if taxonomy_hash in (None, act.taxonomy_hash)]
        where = (
            t.draws.c.run_key == frame.key,
            exists(select(1).where(t.acts.c.response_key == t.draws.c.response_key)),
        )
        ids = {}
        for row in self._rows(select(t.draws.c.prompt_key, t.draws.c.idx, t.draws.c.response_id).where(*where)):
            prompt_id = frame.prompts[row.prompt_key].id
            ids[prompt_id, row.idx] = row.response_id or f"{prompt_id}/{row.idx}"
        return labels_of(acts, ids, self.ways(run_id, taxonomy_hash=taxonomy_hash, classifier_hash=classifier_hash))

    def ways(
        self, run_id: str, *, taxonomy_hash: str | None = None, classifier_hash: str | None = None
    ) -> dict[tuple[str, int], tuple[str, str | None]]:
        """How each row that was chosen for labelling was chosen, and what was predicted for it, as for `labels`.

        Of a row that was chosen in several ways it is the first of WAYS.
        """
        frame = self._frame(run_id)
        query = _CHOSEN.where(t.draws.c.run_key == frame.key).order_by(t.chosen.c.choice_key)
        found: dict[tuple[str, int], tuple[str, str | None]] = {}
        for row in self._rows(query):
            by = row.classifier and row.classifier["hash"]
            if classifier_hash not in (None, by) and by is not None:
                continue
            if taxonomy_hash not in (None, row.taxonomy["hash"]):
                continue
            place = frame.prompts[row.prompt_key].id, row.idx
            if place not in found or WAYS.index(row.way) < WAYS.index(found[place][0]):
                found[place] = row.way, row.predicted
        return found

    def response(self, run_id: str, prompt_id: str, index: int) -> Response:
        """One response. Raises InvalidInput where it is not stored."""
        frame = self._frame(run_id)
        place = frame.place(prompt_id, index)
        rows = self._rows(_DRAWN.where(t.draws.c.run_key == frame.key, _at([place])))
        if not rows:
            raise InvalidInput(f"response {index} to prompt {prompt_id!r} is not stored")
        shown = frame.telling()
        if before := frame.before(place[0]):
            said = _DRAWN.where(t.draws.c.run_key == frame.key, t.draws.c.prompt_key.in_(before))
            for row in self._rows(said.order_by(t.draws.c.prompt_key, t.draws.c.idx)):
                shown(_response_from(frame, row))
        return shown(_response_from(frame, rows[0]))

    # How it is done

    def _rows(self, query: Select[*tuple[Any, ...]]) -> Sequence[Row[*tuple[Any, ...]]]:
        with translated(self._url), self._engine.connect() as connection:
            return connection.execute(query).all()

    def _pages(self, frame: _Frame, query: Select[*tuple[Any, ...]]) -> Iterator[Row[*tuple[Any, ...]]]:
        # By key, not by a cursor: no transaction stays open while the reader works, on any database.
        place = tuple_(t.draws.c.prompt_key, t.draws.c.idx)
        query = query.where(t.draws.c.run_key == frame.key).order_by(t.draws.c.prompt_key, t.draws.c.idx).limit(_PAGE)
        rows = self._rows(query)
        while rows:
            yield from rows
            rows = self._rows(query.where(place > (rows[-1].prompt_key, rows[-1].idx))) if len(rows) == _PAGE else []

    def _frame(self, run_id: str) -> _Frame:
        if run_id not in self._frames:
            found = self._rows(select(t.runs.c.key, t.runs.c.prompts_hash, t.runs.c.decoding).filter_by(id=run_id))
            if not found:
                raise InvalidInput(self._no_such_run(run_id))
            key, prompts_hash, decoding = found[0]
            prompts = {row.key: _prompt_from(row) for row in self._rows(_prompts_of(prompts_hash))}
            keys = {prompt.id: number for number, prompt in prompts.items()}
            rule = decoding.get(CONVERSATION)
            self._frames[run_id] = _Frame(key, prompts, keys, rule and Conversation.from_dict(rule))
        return self._frames[run_id]

    def _hold(self, run_id: str) -> None:
        try:
            is_ours = self._holds.take(self._frame(run_id).key)
        except OSError as error:
            raise StoreError(f"{self.name}: the run cannot be locked ({error.strerror}); check its folder") from error
        if not is_ours:
            raise StoreError(
                f"run {run_id} is being sampled by another process; wait for it, or start another with --fresh"
            )

    def _no_such_run(self, name: str) -> str:
        ids = [run.id for run in self.runs(limit=200)]
        if not ids:
            return f"{self.name} holds no run yet; `ethostat measure --db {self.name}` stores one"
        near = difflib.get_close_matches(name, ids, n=3, cutoff=0.5) or ids[:3]
        return f"run {name!r} is not in {self.name}; near are {', '.join(near)}, and `ethostat runs` lists all"

    def _change(self, run_id: str, **values: Any) -> Run:
        with translated(self._url), writing(self._engine) as connection:
            changed = connection.execute(update(t.runs).where(t.runs.c.id == run_id).values(**values)).rowcount
        if not changed:
            raise InvalidInput(self._no_such_run(run_id))
        return self.get_run(run_id)

    def _add_prompts(self, prompts: PromptSet) -> None:
        with writing(self._engine) as connection:
            if connection.execute(select(1).where(t.prompt_sets.c.hash == prompts.hash)).first():
                return
            contents = {prompt.hash: prompt for prompt in prompts}
            for batch in _batches(sorted(contents), _BATCH):
                known = set(connection.scalars(select(t.contents.c.hash).where(t.contents.c.hash.in_(batch))))
                if new := [_content_row(contents[content]) for content in batch if content not in known]:
                    connection.execute(insert(t.contents), new)
            connection.execute(insert(t.prompt_sets), {"hash": prompts.hash})
            rows = [_prompt_row(prompts.hash, position, prompt) for position, prompt in enumerate(prompts)]
            connection.execute(insert(t.prompts), rows)

    def _add_batch(self, frame: _Frame, batch: Mapping[Place, Response]) -> int:
        with writing(self._engine) as connection:
            known = _known_places(connection, frame, batch)
            new = {place: response for place, response in batch.items() if place not in known}
            if not new:
                return 0
            rows = [_response_row(response) for response in new.values()]
            stored = insert(t.responses).returning(t.responses.c.key, sort_by_parameter_order=True)
            keys = connection.scalars(stored, rows).all()
            draws = [
                _draw_row(frame, place, key, response_id=response.id or None)
                for (place, response), key in zip(new.items(), keys, strict=True)
            ]
            connection.execute(insert(t.draws), draws)
            _forget_failures(connection, frame, list(new))
            return len(new)

    def _link(self, run: Run, frame: _Frame, contents: Sequence[str], wanted: Set[Place]) -> int:
        found: dict[str, dict[int, dict[int, str]]] = {}
        for row in self._rows(_reusable(run, contents)):
            found.setdefault(row.content_hash, {}).setdefault(row.idx, {}).setdefault(row.response_key, row.id)
        draws = {}
        for content in contents:
            equal = [key for key, prompt in frame.prompts.items() if prompt.hash == content]
            for index, rows in found.get(content, {}).items():
                # Equal prompts of one set get different responses.
                for key, (response_key, source) in zip(equal, rows.items(), strict=False):
                    if (key, index) in wanted:
                        draws[key, index] = _draw_row(frame, (key, index), response_key, reused_from=source)
        for batch in _batches(list(draws), _BATCH):
            with writing(self._engine) as connection:
                known = _known_places(connection, frame, batch)
                if new := [draws[place] for place in batch if place not in known]:
                    connection.execute(insert(t.draws), new)
                _forget_failures(connection, frame, batch)
        return len(draws)

    def _add_choice(self, frame: _Frame, choice: Choice) -> None:
        same = select(1).where(t.choices.c.run_key == frame.key, t.choices.c.fingerprint == choice.fingerprint)
        with writing(self._engine) as connection:
            if connection.execute(same).first():
                return
            stored = insert(t.choices).values(_choice_row(frame, choice)).returning(t.choices.c.key)
            choice_key = connection.execute(stored).scalar_one()
            places = {frame.place(row.prompt_id, row.index): row for row in choice.rows}
            keys = _response_keys(connection, frame, list(places))
            rows = [
                {"choice_key": choice_key, "position": n, "response_key": keys[place], "predicted": row.predicted}
                for n, (place, row) in enumerate(places.items())
            ]
            for batch in _batches(rows, _BATCH):
                connection.execute(insert(t.chosen), batch)

    def _chosen_rows(self, frame: _Frame, choice_key: int) -> tuple[ChosenRow, ...]:
        query = _CHOSEN.where(t.draws.c.run_key == frame.key, t.chosen.c.choice_key == choice_key)
        rows = self._rows(query.order_by(t.chosen.c.position))
        return tuple(ChosenRow(frame.prompts[row.prompt_key].id, row.idx, row.predicted) for row in rows)

    def _judge(self, frame: _Frame, classifier_hash: str, batch: Mapping[Place, Verdict]) -> None:
        with writing(self._engine) as connection:
            query = _judged(classifier_hash).where(t.draws.c.run_key == frame.key, _at(batch))
            rows = {(row.prompt_key, row.idx): row for row in connection.execute(query)}
            if missing := [place for place in batch if place not in rows]:
                prompt_id, index = frame.prompts[missing[0][0]].id, missing[0][1]
                raise InvalidInput(
                    f"response {index} to prompt {prompt_id!r} is not stored; store it before its verdict"
                )
            new = {
                rows[place].key: _verdict_row(rows[place].key, classifier_hash, verdict)
                for place, verdict in batch.items()
                if rows[place].goal is None
            }
            if new:
                connection.execute(insert(t.verdicts), list(new.values()))


def _once_more(work: Callable[[], _Item]) -> _Item:
    # Two processes may add the same row between one's look and its insert; on the second look it is there.
    try:
        return work()
    except IntegrityError:
        return work()


def _batches(items: Sequence[_Item], size: int) -> Iterator[Sequence[_Item]]:
    return (items[start : start + size] for start in range(0, len(items), size))


_DRAWN = select(t.responses, t.draws.c.prompt_key, t.draws.c.idx, t.draws.c.response_id, t.draws.c.reused_from).join(
    t.draws, t.draws.c.response_key == t.responses.c.key
)

_CHOSEN = (
    select(
        t.draws.c.prompt_key,
        t.draws.c.idx,
        t.chosen.c.predicted,
        t.choices.c.way,
        t.choices.c.classifier,
        t.choices.c.taxonomy,
    )
    .join(t.chosen, t.chosen.c.response_key == t.draws.c.response_key)
    .join(t.choices, t.choices.c.key == t.chosen.c.choice_key)
)


def _judged(classifier_hash: str | None) -> Select[*tuple[Any, ...]]:
    fits = and_(t.verdicts.c.response_key == t.responses.c.key, t.verdicts.c.classifier_hash == classifier_hash)
    columns = (t.verdicts.c.goal, t.verdicts.c.probabilities, t.verdicts.c.typicality)
    return _DRAWN.add_columns(*columns).outerjoin(t.verdicts, fits)


def _prompts_of(set_hash: str) -> Select[*tuple[Any, ...]]:
    query = select(t.prompts, t.contents.c.messages).join(t.contents, t.contents.c.hash == t.prompts.c.content_hash)
    return query.where(t.prompts.c.set_hash == set_hash).order_by(t.prompts.c.position)


def _reusable(run: Run, contents: Sequence[str]) -> Select[*tuple[Any, ...]]:
    columns = (t.draws.c.response_key, t.draws.c.idx, t.prompts.c.content_hash, t.runs.c.id)
    return (
        select(*columns)
        .join(t.runs, t.runs.c.key == t.draws.c.run_key)
        .join(t.prompts, t.prompts.c.key == t.draws.c.prompt_key)
        .where(t.runs.c.sampling_key == run.sampling_key, t.runs.c.seed == run.seed, t.runs.c.id != run.id)
        .where(t.prompts.c.content_hash.in_(contents))
        .order_by(t.draws.c.reused_from.is_not(None), t.runs.c.key, t.draws.c.prompt_key)
    )


def _at(places: Iterable[Place], table: Any = t.draws) -> Any:
    return tuple_(table.c.prompt_key, table.c.idx).in_(list(places))


def _response_keys(connection: Connection, frame: _Frame, places: Sequence[Place]) -> dict[Place, int]:
    found: dict[Place, int] = {}
    for batch in _batches(places, _BATCH):
        query = select(t.draws.c.prompt_key, t.draws.c.idx, t.draws.c.response_key)
        for row in connection.execute(query.where(t.draws.c.run_key == frame.key, _at(batch))):
            found[row.prompt_key, row.idx] = row.response_key
    return found


def _known_places(connection: Connection, frame: _Frame, places: Iterable[Place]) -> set[Place]:
    query = select(t.draws.c.prompt_key, t.draws.c.idx).where(t.draws.c.run_key == frame.key, _at(places))
    return {(key, index) for key, index in connection.execute(query)}


def _forget_failures(connection: Connection, frame: _Frame, places: Sequence[Place]) -> None:
    connection.execute(delete(t.failures).where(t.failures.c.run_key == frame.key, _at(places, t.failures)))


def _run_row(setup: RunSetup, run_id: str, started: datetime) -> dict[str, Any]:
    return {
        "id": run_id,
        "fingerprint": setup.fingerprint,
        "model": setup.model,
        "identity": dict(setup.identity),
        "sampling_key": setup.sampling_key,
        "prompts_name": setup.prompts.name,
        "prompts_hash": setup.prompts.hash,
        "decoding": dict(setup.decoding),
        "samples": setup.samples,
        "precision": setup.precision,
        "seed": setup.seed,
        "taxonomy": setup.taxonomy and dict(setup.taxonomy),
        "classifier": setup.classifier and dict(setup.classifier),
        "status": RUNNING,
        "started": started.isoformat(timespec="seconds"),
        "versions": dict(setup.versions),
        "settings": dict(setup.settings),
    }


def _run_from(row: Row[*tuple[Any, ...]]) -> Run:
    return Run(**{name: value for name, value in row._mapping.items() if name != "key"})


def _content_row(prompt: Prompt) -> dict[str, Any]:
    return {"hash": prompt.hash, "messages": [asdict(message) for message in prompt.messages]}


def _prompt_row(set_hash: str, position: int, prompt: Prompt) -> dict[str, Any]:
    return {
        "set_hash": set_hash,
        "position": position,
        "id": prompt.id,
        "content_hash": prompt.hash,
        "category": prompt.category,
        "expected": prompt.expected,
    }


def _prompt_from(row: Row[*tuple[Any, ...]]) -> Prompt:
    messages = tuple(Message(message["role"], message["content"]) for message in row.messages)
    return Prompt(row.id, messages, row.category, row.expected)


_KEPT_AS_IS = ("seed", "text", "model", "finish_reason", "prompt_tokens", "completion_tokens", "seconds", "time")


def _response_row(response: Response) -> dict[str, Any]:
    row = {name: getattr(response, name) for name in _KEPT_AS_IS}
    # A server may count to anything; what no database can hold is no count, and must not cost the text.
    return {
        name: None if isinstance(value, int) and not -_MOST <= value < _MOST else value for name, value in row.items()
    }


def _response_from(frame: _Frame, row: Row[*tuple[Any, ...]]) -> Response:
    prompt = frame.prompts[row.prompt_key]
    values = {name: getattr(row, name) for name in _KEPT_AS_IS}
    return Response(prompt=prompt, index=row.idx, id=row.response_id or f"{prompt.id}/{row.idx}", **values)


def _draw_row(
    frame: _Frame, place: Place, response_key: int, *, response_id: str | None = None, reused_from: str | None = None
) -> dict[str, Any]:
    return {
        "run_key": frame.key,
        "prompt_key": place[0],
        "idx": place[1],
        "response_key": response_key,
        "response_id": response_id,
        "reused_from": reused_from,
    }


def _failure_row(frame: _Frame, place: Place, failure: Failure) -> dict[str, Any]:
    where = {"run_key": frame.key, "prompt_key": place[0], "idx": place[1]}
    return where | {"kind": failure.kind, "message": failure.message}


def _verdict_row(response_key: int, classifier_hash: str, verdict: Verdict) -> dict[str, Any]:
    return {
        "response_key": response_key,
        "classifier_hash": classifier_hash,
        "goal": verdict.goal,
        "probabilities": list(verdict.probabilities),
        "typicality": verdict.typicality,
    }


def _choice_row(frame: _Frame, choice: Choice) -> dict[str, Any]:
    return {
        "run_key": frame.key,
        "fingerprint": choice.fingerprint,
        "way": choice.way,
        "seed": choice.seed,
        "settings": dict(choice.settings),
        "taxonomy": dict(choice.taxonomy),
        "classifier": choice.classifier and dict(choice.classifier),
        "created": choice.created or _now(),
    }


def _choice_from(row: Row[*tuple[Any, ...]], rows: tuple[ChosenRow, ...]) -> Choice:
    return Choice(row.way, rows, row.taxonomy, row.seed, row.classifier, row.settings, row.created)


_ACT_FIELDS = ("rater", "kind", "settles", "goal", "note", "taxonomy_hash", "time")


def _act_row(act: Act) -> dict[str, Any]:
    return {name: getattr(act, name) for name in _ACT_FIELDS}


def _act_from(frame: _Frame, row: Row[*tuple[Any, ...]]) -> Act:
    values = {name: getattr(row, name) for name in (*_ACT_FIELDS, "key")}
    return Act(prompt_id=frame.prompts[row.prompt_key].id, index=row.idx, **values)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
