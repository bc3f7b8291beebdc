"""An entry whose heading came first, and its text later, is one entry."""

from __future__ import annotations

from hiveminddb.vault.choosing import Base, Entry, choose, render

HEADING = "## 2026-01-03 10:00:00 UTC\n\n"
KNOWN = [
    Entry("head", "# notes\n\n", is_head=True),
    Entry("a", "## 2026-01-01 10:00:00 UTC\n\nfirst\n\n"),
    Entry("b", "## 2026-01-02 10:00:00 UTC\n\nsecond\n\n"),
]


def test_a_text_that_goes_on_with_the_last_entry_was_made_from_the_one_that_has_it() -> None:
    begun = Base(7, "late", [*KNOWN, Entry("c", HEADING)])
    before = Base(3, "disk", KNOWN)
    assert choose([begun, before], render(KNOWN) + HEADING + "by a slow program\n\n") == 0
    half = Base(7, "late", [*KNOWN, Entry("c", HEADING + "by a")])
    assert choose([half, before], render(KNOWN) + HEADING + "by a slow program, in the end\n\n") == 0


def test_words_put_in_at_several_places_tell_that_the_text_with_them_was_seen() -> None:
    gone = Entry("b", "## 2026-01-02 10:00:00 UTC\n\na longer entry, that the author has had enough of by now\n\n")
    old = Entry("a", "## 2026-01-01 10:00:00 UTC\n\none word for the first line\n\nand one for the second\n\n")
    edited = Entry("a", old.text.replace("one word", "another word").replace("second", "second tk1"))
    before = Base(3, "disk", [KNOWN[0], old])
    saved = Base(7, "late", [KNOWN[0], edited, gone])
    newest = Base(9, "mirror", [KNOWN[0], old, gone, Entry("d", "## 2026-01-04 10:00:00 UTC\n\nby an agent\n\n")])
    text = render([KNOWN[0], edited]).replace("first line", "first line tk2")
    assert choose([newest, saved, before], text) == 1


def test_a_long_file_from_which_others_took_an_entry_was_made_from_the_text_without_it() -> None:
    day = "## 2026-01-01 10:00:00 UTC\n\n"
    many = [Entry(f"e{n}", f"{day}entry {n}\n\nhas lines\nof its own {n}\n\n") for n in range(900)]
    taken = Entry("taken", f"{day}words that somebody has taken back\n\n")
    before = Base(3, "disk", [*many[:400], taken, *many[400:]])
    newest = Base(7, "mirror", many)
    text = render(many).replace("entry 17\n", "entry 17, edited\n")
    assert choose([newest, before], text) == 0


def test_words_that_share_letters_with_those_they_lack_were_put_into_the_text_without_those() -> None:
    head = Entry("head", "---\ntags: [a, b]\n---\n\nniku zé nigo gogosapo baxani vivi dego, the queue", is_head=True)
    last = Entry("e", "## 2026-11-24 21:42\n\ntelaba laru te tefiba, the billing\n")
    gone_on = Entry(
        "head", f"{head.text} texasaxa vibadeku poxa ku of the cluster vifipo sasa, a meeting\n", is_head=True
    )
    before, newest = Base(3, "mirror", [head, last]), Base(7, "mirror", [gone_on, last])
    put = "viponime rumeta of the meku fimela vixagoba queue\n\nsawoi zela of wofi meku, a saür delate tevi meeting\n"
    assert choose([newest, before], render([head]) + "\n" + put + render([last])) == 1
