from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hiveminddb.store import ranking
from hiveminddb.store.filters import Filters, filter_clause
from hiveminddb.store.index import Index
from hiveminddb.store.rows import MemoryRow
from hiveminddb.store.search import Mode, Query, known_names, search
from tests.store.searched import Searched, memory

HOUR = 3600 * 1_000_000
DAY = 24 * HOUR
JULY_4_2023 = 1_688_428_800_000_000

WORDS = st.sampled_from(
    "deploy deploys broke lisbon Lisbon flight yesterday 東京に行きました staging? Ann: ERR_42 naïve twice 3rd".split()
)
TEXTS = st.lists(WORDS, min_size=1, max_size=6).map(" ".join)


@st.composite
def rows(draw: st.DrawFn, id: str) -> MemoryRow:
    return memory(
        id,
        draw(TEXTS),
        topic=draw(st.sampled_from(["a", "b"])),
        position=draw(st.sampled_from(["a0", "a1", "a2"])),
        user_id=draw(st.sampled_from([None, "u1", "u2"])),
        session_id=draw(st.sampled_from([None, None, "s1"])),
        agent_id=draw(st.sampled_from([None, "codex"])),
        speaker=draw(st.sampled_from([None, "Ann", "Ben Okri"])),
        tags=tuple(draw(st.sets(st.sampled_from(["x", "y"])))),
        created_at=JULY_4_2023 + draw(st.integers(0, 5)) * DAY,
        invalidated_at=draw(st.sampled_from([None, None, None, 5])),
    )


@st.composite
def histories(draw: st.DrawFn) -> list[MemoryRow]:
    """Memories added, changed, moved, invalidated and brought back."""
    ids = draw(st.lists(st.sampled_from([letter * 20 for letter in "abcdefgh"]), min_size=1, max_size=20))
    return [draw(rows(id)) for id in ids]


FILTERS = st.builds(
    Filters,
    topic=st.sampled_from([None, None, "a", "nowhere"]),
    tags=st.sampled_from([(), (), ("x",), ("x", "y")]),
    user_id=st.sampled_from([None, None, "u1", "nobody"]),
    agent_id=st.sampled_from([None, "codex"]),
    session_id=st.sampled_from([None, None, "s1"]),
    speaker=st.sampled_from([None, None, "Ann"]),
    since=st.sampled_from([None, JULY_4_2023 + DAY]),
    until=st.sampled_from([None, JULY_4_2023 + 3 * DAY]),
)


def stocked(history: list[MemoryRow]) -> Searched:
    store = Searched()
    for row in history:
        store.put(row)
    return store


@settings(max_examples=60)
@given(histories(), FILTERS, TEXTS)
def test_only_memories_that_meet_the_filters_are_found_and_all_of_them_may_be(
    history: list[MemoryRow], filters: Filters, text: str
) -> None:
    store = stocked(history)
    clause, bindings = filter_clause(filters)
    allowed = {id for (id,) in store.connection.execute(f"SELECT m.id FROM memories m WHERE {clause}", bindings)}
    view = store.index.view()
    mask = view.allowed(store.connection, filters, view.scope(filters.user_id))
    assert {view.ids[row] for row in mask.nonzero()[0].tolist()} == allowed
    assert set(store.ids(text, filters=filters)) <= allowed


@settings(max_examples=60)
@given(histories(), st.lists(TEXTS, min_size=1, max_size=3))
def test_an_index_kept_up_answers_as_one_loaded_anew(history: list[MemoryRow], texts: list[str]) -> None:
    store = stocked(history)
    loaded = Index.load(store.connection)
    assert len(loaded) == len(store.index)
    for text in [*texts, f"where, when and how many {' '.join(texts)}"]:
        query = Query(text, explain=True)
        assert search(store.connection, store.index, query) == search(store.connection, loaded, query)


@settings(max_examples=40)
@given(histories(), TEXTS)
def test_postings_read_before_a_change_are_brought_up_to_date(history: list[MemoryRow], text: str) -> None:
    store = Searched()
    for row in history:
        store.put(row)
        query = Query(text, explain=True)
        kept_up = search(store.connection, store.index, query)
        assert kept_up == search(store.connection, Index.load(store.connection), query)


@settings(max_examples=100)
@given(st.text(max_size=300), st.sampled_from(["hybrid", "lexical", "vector"]))
def test_any_text_is_a_legal_query(text: str, mode: Mode) -> None:
    store = Searched()
    store.put(memory("a" * 20, "the deploy broke"), memory("b" * 20, "ticket to 東京"))
    store.embed("a" * 20, [1, 0, 0, 0])
    first = store.hits(text, [0, 1, 0, 0], mode=mode)
    assert first == store.hits(text, [0, 1, 0, 0], mode=mode)


@pytest.mark.parametrize(
    "text",
    ["", " ", "the of and", "?!", '"', "a AND OR NOT (", "NEAR(x, 2)", "content:x", "x*", "^x", "\0", "\ud800", "🎉",
     "東", "%", "_" * 8000, "word " * 20_000, "x" * 100_000, "((((" * 2000, "a.b" * 30_000],
)  # fmt: skip
def test_queries_that_look_like_trouble_are_only_text(text: str) -> None:
    store = Searched()
    store.put(memory("a" * 20, "the deploy broke"))
    store.hits(text)
    store.embed("a" * 20, [1, 0, 0, 0])
    store.hits(text, [1, 0, 0, 0])


def test_an_empty_store_has_no_hits() -> None:
    assert Searched().hits("anything") == ()
    assert Searched().hits("++", [1, 0, 0, 0]) == ()


def test_stop_words_find_something_only_where_there_is_nothing_else() -> None:
    store = Searched()
    store.put(memory("a" * 20, "to be or not to be"), memory("b" * 20, "what is the deploy"))
    assert store.ids("to be or not") == ["a" * 20]
    assert store.ids("what is the deploy") == ["b" * 20]


def test_a_query_without_words_is_looked_up_as_it_stands() -> None:
    store = Searched()
    store.put(memory("a" * 20, "i++ is evil"), memory("b" * 20, "party 🎉"), memory("c" * 20, "plain"))
    assert store.ids("++") == ["a" * 20]
    assert store.ids("🎉") == ["b" * 20]
    assert store.ids("§§") == []


def test_japanese_and_chinese_are_found_by_parts_of_a_sentence() -> None:
    store = Searched()
    store.put(
        memory("a" * 20, "昨日、東京に行きました。"),
        memory("b" * 20, "京都は雨でした"),
        memory("c" * 20, "我们明天部署到生产环境"),
    )
    assert store.ids("東京") == ["a" * 20]
    assert store.ids("雨") == ["b" * 20]
    assert store.ids("生产") == ["c" * 20]
    assert store.ids("大阪") == []


def test_ties_are_broken_by_id() -> None:
    store = Searched()
    letters = "dbca"
    store.put(*(memory(letter * 20, "same words", topic=letter) for letter in letters))
    assert store.ids("same words") == [letter * 20 for letter in sorted(letters)]
    assert store.ids("same words", limit=2) == ["a" * 20, "b" * 20]


def test_a_hit_of_one_arm_alone_is_found() -> None:
    store = Searched()
    store.put(memory("a" * 20, "kubernetes rollout", topic="a"), memory("b" * 20, "xyzzy", topic="b"))
    store.embed("a" * 20, [1, 0, 0, 0])
    assert set(store.ids("xyzzy", [1, 0, 0, 0])) == {"a" * 20, "b" * 20}


def test_without_a_vector_the_answer_is_lexical_and_says_so() -> None:
    store = Searched()
    store.put(memory("a" * 20, "the deploy broke"))
    assert search(store.connection, store.index, Query("deploy")).mode == "lexical"
    assert search(store.connection, store.index, Query("deploy", mode="vector")).mode == "lexical"


def test_a_vector_of_another_model_is_not_compared() -> None:
    store = Searched()
    store.put(memory("a" * 20, "the deploy broke"))
    store.embed("a" * 20, [1, 0, 0, 0])
    assert store.ids("deploy", [1, 0]) == ["a" * 20]


def test_the_best_passage_of_a_long_text_counts() -> None:
    store = Searched()
    store.put(memory("a" * 20, "long", topic="a"), memory("b" * 20, "short", topic="b"))
    store.embed("a" * 20, [0, 0, 1, 0], [0, 1, 0, 0], [0, 0, 0, 1])
    store.embed("b" * 20, [0.6, 0.8, 0, 0])
    hits = store.hits("?", [0, 1, 0, 0], mode="vector")
    assert [(hit.id, round(hit.score, 5)) for hit in hits] == [("a" * 20, 1.0), ("b" * 20, 0.8)]


def test_vectors_are_replaced_and_leave_with_their_memory() -> None:
    store = Searched()
    store.put(memory("a" * 20, "one"), memory("b" * 20, "two"))
    for turn in range(200):
        store.embed("a" * 20, [1, 0, 0, 0])
        store.embed("b" * 20, *[[0, 1, 0, 0]] * (1 + turn % 3))
    assert store.index.vectors is not None
    store.embed("b" * 20, [0, 1, 0, 0])
    assert len(store.index.vectors) == 2
    store.put(memory("a" * 20, "one", invalidated_at=1))
    assert store.ids("", [1, 0, 0, 0]) == ["b" * 20]


def talk(store: Searched, **fields: object) -> None:
    texts = ["Where shall we stay in Lisbon?", "The one with the blue door.", "Fine.", "And the dog?"]
    for i, text in enumerate(texts):
        letter = "abcd"[i]
        store.put(memory(letter * 20, text, position=f"a{i}", created_at=JULY_4_2023 + i, **fields))


def test_what_follows_a_match_is_lent_score_by_it() -> None:
    store = Searched()
    talk(store, session_id="s1", speaker="Ann")
    store.put(memory("e" * 20, "unrelated", session_id="s2"))
    for letter, vector in zip(
        "abcde", ([1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1], [0, 0, 1, 0]), strict=True
    ):
        store.embed(letter * 20, vector)
    assert store.ids("Lisbon stay", [1, 0, 0, 0])[:2] == ["a" * 20, "b" * 20]


def test_neighbours_of_another_user_lend_nothing() -> None:
    alone, mixed = Searched(), Searched()
    mine = [memory(letter * 20, "blue door", position=f"a{i}", user_id="me") for i, letter in enumerate("ac")]
    alone.put(*mine)
    mixed.put(mine[0], memory("b" * 20, "Lisbon blue door door", position="a05", user_id="you"), mine[1])
    for store in (alone, mixed):
        for letter in "ac":
            store.embed(letter * 20, [1, 0, 0, 0])
    mixed.embed("b" * 20, [0, 1, 0, 0])
    filters = Filters(user_id="me")
    seen = [
        [(hit.id, hit.score) for hit in store.hits("Lisbon door", [0.6, 0.8, 0, 0], filters)]
        for store in (alone, mixed)
    ]
    assert seen[0] == seen[1]


def test_fields_that_no_memory_has_change_nothing() -> None:
    """Names, dates and times in a query leave plain notes in the order of their words."""
    store = Searched()
    store.put(memory("a" * 20, "deploy broke", topic="a"), memory("b" * 20, "deploy of the deploy", topic="b"))
    plain = store.ids("deploy")
    assert store.ids("when did Caroline deploy in March 2031") == plain
    assert known_names(store.index, Filters()) == frozenset()


def test_who_is_named_speaks_first() -> None:
    store = Searched()
    store.put(
        memory("a" * 20, "I love pottery", speaker="Ben", session_id="s1"),
        memory("b" * 20, "I love pottery", speaker="Ann", session_id="s2"),
    )
    assert store.ids("does Ann love pottery")[0] == "b" * 20
    assert store.ids("does ben love pottery")[0] == "a" * 20
    assert known_names(store.index, Filters()) == {"ann", "ben"}


def test_a_note_that_mentions_a_speaker_of_another_place_is_found() -> None:
    store = Searched()
    store.put(
        memory("a" * 20, "I love pottery", speaker="Ann", session_id="s1"),
        memory("b" * 20, "Birthday of Ann: 3 May", topic="people"),
        memory("c" * 20, "Birthday cake recipe", topic="kitchen"),
    )
    assert store.ids("when is Ann's birthday")[0] == "b" * 20
    assert "b" * 20 in store.ids("what does Ann like")


def test_names_of_another_user_are_not_known() -> None:
    store = Searched()
    store.put(memory("a" * 20, "x", speaker="Ben", user_id="u1"), memory("b" * 20, "x", speaker="Ann", user_id="u2"))
    assert known_names(store.index, Filters(user_id="u2")) == {"ann"}
    assert known_names(store.index, Filters(user_id="nobody")) == frozenset()


def test_an_agent_is_named_by_its_id() -> None:
    store = Searched()
    store.put(
        memory("a" * 20, "fixed the runner", agent_id="codex", topic="a"),
        memory("b" * 20, "fixed the runner", agent_id="claude-code", topic="b"),
    )
    assert store.ids("what runner was fixed by claude-code")[0] == "b" * 20


def test_a_date_in_the_query_prefers_what_was_made_then() -> None:
    store = Searched()
    store.put(
        memory("a" * 20, "went to the lake", topic="a", created_at=JULY_4_2023 - 40 * DAY),
        memory("b" * 20, "went to the lake", topic="b", created_at=JULY_4_2023 + HOUR),
    )
    for text in ("lake in July 2023", "lake on 4 July", "lake on 2023-07-04", "the lake in July"):
        assert store.ids(text)[0] == "b" * 20
    now = JULY_4_2023 + 2 * DAY
    hits = search(store.connection, store.index, Query("lake two days ago", now=now)).hits
    assert hits[0].id == "b" * 20


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("how many boats are in the harbour", "boats in the harbour, three"),
        ("how old are boats in the harbour", "boats in the harbour, 40y"),
        ("where is the harbour for boats", "boats in the harbour, Ghent"),
        ("when are boats in the harbour", "boats in the harbour, yesterday"),
    ],
)
def test_a_question_prefers_what_has_the_kind_of_answer_it_asks_for(question: str, answer: str) -> None:
    store = Searched()
    store.put(
        memory("a" * 20, "boats in the harbour, all", topic="a"),
        memory("b" * 20, answer, topic="b"),
    )
    assert store.ids(question)[0] == "b" * 20
    assert store.ids("boats in the harbour")[0] == "a" * 20


def test_a_greeting_in_a_talk_says_less_than_a_sentence() -> None:
    store = Searched()
    for session, (short, long) in {"s1": ("a", "b"), None: ("c", "d")}.items():
        store.put(
            memory(short * 20, "pottery!", session_id=session, topic=short),
            memory(
                long * 20, "pottery is what Ann does with her hands on a grey Sunday", session_id=session, topic=long
            ),
        )
    hits = {hit.id[0]: hit.why or {} for hit in store.hits("pottery", explain=True)}
    assert 0 < hits["a"]["length"].score < hits["b"]["length"].score
    assert "length" not in hits["c"]


def test_an_identifier_is_found_word_after_word() -> None:
    store = Searched()
    store.put(
        memory("a" * 20, "conn err 42 42 err", topic="a"),
        memory("b" * 20, "saw ERR_CONN_42 once, long story", topic="b"),
    )
    assert store.ids("ERR_CONN_42")[0] == "b" * 20


def test_explain_gives_rank_and_raw_score_of_each_arm() -> None:
    store = Searched()
    store.put(memory("a" * 20, "deploy broke", topic="a"), memory("b" * 20, "deploy deploy", topic="b"))
    store.embed("a" * 20, [1, 0, 0, 0])
    store.embed("b" * 20, [0.6, 0.8, 0, 0])
    hits = store.hits("deploy", [1, 0, 0, 0], explain=True)
    why = {hit.id[0]: hit.why for hit in hits}
    assert why["a"] is not None and why["b"] is not None
    assert (why["a"]["vector"].rank, why["b"]["vector"].rank) == (1, 2)
    assert (why["a"]["lexical"].rank, why["b"]["lexical"].rank) == (2, 1)
    assert why["b"]["vector"].score == pytest.approx(0.6)
    assert store.hits("deploy")[0].why is None


def test_a_topic_of_thousands_does_not_drown_the_others() -> None:
    store = Searched()
    store.put(*(memory(f"{i:020d}", f"day {i} deploy", position=f"a{i:05d}") for i in range(3000)))
    store.put(memory("z" * 20, "deploy checklist", topic="checklists"))
    assert store.ids("deploy checklist")[0] == "z" * 20


def test_without_weights_only_the_vectors_speak() -> None:
    store = Searched()
    store.put(memory("a" * 20, "deploy deploy", topic="a"), memory("b" * 20, "other", topic="b"))
    store.embed("a" * 20, [0, 1, 0, 0])
    store.embed("b" * 20, [1, 0, 0, 0])
    mute = replace(ranking.WEIGHTS, lexical=0.0, group=0.0)
    query = Query("deploy", np.array([1, 0, 0, 0], np.float32))
    assert search(store.connection, store.index, query, mute).hits[0].id == "b" * 20


def test_invalidated_memories_are_found_where_asked_for_and_only_there() -> None:
    store = Searched()
    store.put(memory("a" * 20, "the old staging server"), memory("b" * 20, "the new staging server", user_id="u1"))
    store.put(memory("a" * 20, "the old staging server", invalidated_at=9))
    assert store.ids("staging server") == ["b" * 20]
    both = Filters(include_invalidated=True)
    assert set(store.ids("staging server", filters=both)) == {"a" * 20, "b" * 20}
    assert store.ids("old", filters=both) == ["a" * 20]
    assert store.ids("staging", filters=Filters(user_id="u1", include_invalidated=True)) == ["b" * 20]
    assert store.ids("", filters=both) == []


def test_without_vectors_an_answer_is_found_by_the_question_before_it() -> None:
    store = Searched()
    talk(store, session_id="s1", speaker="Ann")
    assert set(store.ids("Lisbon")) == {"a" * 20, "b" * 20}
    assert store.ids("Lisbon", mode="lexical") == ["a" * 20]
