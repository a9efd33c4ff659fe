"""What each format gives, read in this process. tests/data/parsing/test_pool.py reads in children."""

from __future__ import annotations

import contextlib
import time
import zipfile
from pathlib import Path

import docx
import openpyxl
import pptx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from craton.core.errors import CratonError, Damaged, TooLarge, Unsupported
from craton.data.documents import Parsed
from craton.data.parsing.limits import ParseLimits
from craton.data.parsing.reading import read
from tests.data.parsing.hostile import office_zip, pdf

PAGE = """<html><head><title>Keys &amp; locks</title><style>p {}</style></head><body><nav>Home | About</nav>
<h1>Rotating keys</h1><p>Run the <b>command</b> twice. It takes effect at once.</p>
<ul><li>first</li><li>second <i>one</i></li></ul>
<table><tr><th>key</th><th>age</th></tr><tr><td>a</td><td>1</td></tr></table><pre>x = 1
y = 2</pre><script>alert("no")</script><footer>All rights reserved</footer></body></html>"""


def parsed(
    folder: Path, content: bytes | str, name: str, media_type: str = "", limits: ParseLimits | None = None
) -> Parsed:
    path = folder / "content"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    result = read(path, name, media_type, limits or ParseLimits())
    lawful(result)
    return result


def lawful(result: Parsed) -> None:
    at = 0
    for block in result.blocks:
        assert at <= block.start < block.end <= len(result.text)
        assert not result.text[at : block.start].strip()
        at = block.end
    assert not result.text[at:].strip()


def kinds(result: Parsed) -> list[str]:
    return [block.kind for block in result.blocks]


def test_markdown_keeps_its_text_and_tells_its_blocks(tmp_path: Path) -> None:
    text = "---\ntitle: Guide\n---\n\n# One\n\nText\ngoes on.\n\n- a\n- b\n\n"
    text += "| x | y |\n| - | - |\n| 1 | 2 |\n\n```sh\n# no heading\n```\n\nTwo\n---\nEnd."
    result = parsed(tmp_path, text, "a.md")
    assert kinds(result) == ["code", "heading", "paragraph", "list", "table", "code", "heading", "paragraph"]
    assert result.title == "Guide"
    assert [block.level for block in result.blocks if block.kind == "heading"] == [1, 2]
    assert "```sh\n# no heading\n```" in result.text


def test_indented_code_keeps_its_columns(tmp_path: Path) -> None:
    result = parsed(tmp_path, "Run this:\n\n    a   b\n      c\n\nand then that.", "a.md")
    assert kinds(result) == ["paragraph", "code", "paragraph"]
    assert "    a   b\n      c" in result.text


def test_html_keeps_headings_lists_tables_and_code_and_leaves_the_frame_out(tmp_path: Path) -> None:
    result = parsed(tmp_path, PAGE, "a.html")
    assert result.title == "Keys & locks"
    assert "# Rotating keys" in result.text
    assert "Run the" in result.text
    assert "- first" in result.text
    assert "| a | 1 |" in result.text
    assert "x = 1\ny = 2" in result.text
    assert "alert" not in result.text
    assert "All rights" not in result.text


@pytest.mark.parametrize("text", ["<html><body></body></html>", "<!doctype html><script>x()</script><img src=a>"])
def test_html_without_text_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(Unsupported, match="without text"):
        parsed(tmp_path, text, "a.html")


def test_a_page_that_nests_deep_is_read_whole_or_refused(tmp_path: Path) -> None:
    def page(depth: int) -> str:
        return "<html>" + "<div>" * depth + "deep inside" + "</div>" * depth

    assert parsed(tmp_path, page(1_500), "a.html").text == "deep inside"
    with pytest.raises(Damaged, match="deep"):
        parsed(tmp_path, page(10_000), "a.html")


def test_pages_of_a_pdf_have_their_numbers_and_lose_their_running_heads(tmp_path: Path) -> None:
    pages = [[f"The Handbook {page}", f"Page {page} is about keys.", "Rotate them.", str(page)] for page in range(1, 8)]
    result = parsed(tmp_path, pdf(pages), "a.pdf")
    assert [block.page for block in result.blocks] == list(range(1, 8))
    assert "Page 3 is about keys." in result.text
    assert "The Handbook" not in result.text


def test_what_repeats_in_a_short_pdf_stays(tmp_path: Path) -> None:
    result = parsed(tmp_path, pdf([["Notice", "One.", "x"], ["Notice", "Two.", "y"]]), "a.pdf")
    assert result.text.count("Notice") == 2


def test_an_encrypted_pdf_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Unsupported, match="encrypted"):
        parsed(tmp_path, pdf([["secret"]], encrypted=True), "a.pdf")


def test_a_scanned_pdf_is_refused_with_the_word_ocr(tmp_path: Path) -> None:
    with pytest.raises(Unsupported, match="OCR"):
        parsed(tmp_path, pdf([[], []]), "a.pdf")


def test_pages_without_text_are_noted(tmp_path: Path) -> None:
    assert parsed(tmp_path, pdf([["Some text."], []]), "a.pdf").notes == (
        "1 of its 2 pages have no text: they are blank or pictures.",
    )


def test_word_documents_keep_their_order(tmp_path: Path) -> None:
    document = docx.Document()
    document.add_heading("Handbook", 1)
    document.add_paragraph("Intro.")
    for item in ("one", "two"):
        document.add_paragraph(item, style="List Bullet")
    table = document.add_table(2, 2)
    for row, cells in enumerate((("key", "age"), ("a", "1"))):
        for column, cell in enumerate(cells):
            table.cell(row, column).text = cell
    document.add_heading("Next", 2)
    document.add_paragraph("End.")
    document.save(str(tmp_path / "a"))
    result = parsed(tmp_path, (tmp_path / "a").read_bytes(), "a.docx")
    assert kinds(result) == ["heading", "paragraph", "list", "table", "heading", "paragraph"]
    assert result.text == (
        "# Handbook\n\nIntro.\n\n- one\n- two\n\n| key | age |\n| --- | --- |\n| a | 1 |\n\n## Next\n\nEnd."
    )


def test_sheets_repeat_their_header_over_each_part(tmp_path: Path) -> None:
    workbook = openpyxl.Workbook()
    sheet = workbook.active
    assert sheet is not None
    sheet.title = "People"
    sheet.append(["name", "age"])
    for number in range(45):
        sheet.append([f"n{number}", number])
    workbook.save(tmp_path / "a")
    result = parsed(tmp_path, (tmp_path / "a").read_bytes(), "wrong-name.txt")
    assert kinds(result) == ["heading", "table", "table", "table"]
    assert result.text.count("| name | age |") == 3
    assert "| n44 | 44 |" in result.text


def test_slides_are_pages(tmp_path: Path) -> None:
    presentation = pptx.Presentation()
    for title in ("First", "Second"):
        slide = presentation.slides.add_slide(presentation.slide_layouts[1])
        slide.shapes.title.text = title
        slide.placeholders[1].text = "a\nb"
        slide.notes_slide.notes_text_frame.text = f"said about {title}"
    presentation.save(str(tmp_path / "a"))
    result = parsed(tmp_path, (tmp_path / "a").read_bytes(), "a.pptx")
    assert [(block.kind, block.page) for block in result.blocks] == [
        (kind, page) for page in (1, 2) for kind in ("heading", "list", "paragraph")
    ]
    assert "said about Second" in result.text


def test_rows_carry_the_names_of_their_columns(tmp_path: Path) -> None:
    result = parsed(tmp_path, 'name,age,city\nAnna,3,"Berlin, DE"\nBob,,Paris\n', "a.csv")
    assert result.text == "name: Anna; age: 3; city: Berlin, DE\nname: Bob; city: Paris"
    assert kinds(result) == ["row", "row"]
    assert parsed(tmp_path, "1\t2\n3\t4\n", "a.tsv").text == "1; 2\n3; 4"


def test_json_is_read_as_paths_and_values(tmp_path: Path) -> None:
    assert parsed(tmp_path, '{"a": {"b": [{"c": 1}, 2]}, "e": true, "f": ["x", "y"]}', "a.json").text == (
        "a.b[0].c: 1\na.b[1]: 2\ne: true\nf: x, y"
    )
    lines = parsed(tmp_path, '{"a": 1}\n{"a": 2}\nbroken\n', "a.jsonl")
    assert lines.text == "a: 1\na: 2"
    assert lines.notes == ("Lines that are no JSON were left out: 1.",)
    with pytest.raises(CratonError):
        parsed(tmp_path, "[" * 100_000, "a.jsonl")


def test_xml_is_read_and_its_entities_are_not_expanded(tmp_path: Path) -> None:
    result = parsed(tmp_path, '<?xml version="1.0"?><r><name>A</name><p>Hello <b>big</b> world</p></r>', "a.xml")
    assert result.text == "name: A\nHello big world"
    bomb = '<!DOCTYPE l [<!ENTITY a "aaaaaaaaaa">' + "".join(
        f'<!ENTITY {after} "{f"&{before};" * 10}">' for before, after in zip("abcdefgh", "bcdefghi", strict=True)
    )
    with pytest.raises(Damaged):
        parsed(tmp_path, f'<?xml version="1.0"?>{bomb}]><l>text &i;</l>', "a.xml")
    ten = '<!DOCTYPE l [<!ENTITY a "aaaaaaaaaa">]>'
    assert parsed(tmp_path, f'<?xml version="1.0"?>{ten}<l>text &a;</l>', "a.xml").text == "text &a;"
    outside = '<?xml version="1.0"?><!DOCTYPE l [<!ENTITY x SYSTEM "file:///etc/passwd">]><l>text &x;</l>'
    assert "root" not in parsed(tmp_path, outside, "a.xml").text


def test_mail_gives_its_headers_and_its_body(tmp_path: Path) -> None:
    result = parsed(tmp_path, "Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\nFrom: a@b.c\r\n\r\nHello there.", "a.eml")
    assert result.text == "# Grüße\n\nFrom: a@b.c\n\nHello there."


def test_code_is_code(tmp_path: Path) -> None:
    result = parsed(tmp_path, "def f():\n    return 1\n", "a.py")
    assert (result.text, kinds(result)) == ("def f():\n    return 1", ["code"])


GERMAN = "Der Bär läuft über die Straße nach Köln und trinkt süßen Tee mit Müller."


@pytest.mark.parametrize(
    "encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "latin-1", "cp1252"]
)
def test_text_is_read_whatever_its_encoding(tmp_path: Path, encoding: str) -> None:
    assert parsed(tmp_path, GERMAN.encode(encoding), "a.txt", "text/plain; charset=ascii").text == GERMAN


def test_a_declared_encoding_counts_unless_the_bytes_say_otherwise(tmp_path: Path) -> None:
    russian = "Съешь ещё этих мягких французских булок"
    assert parsed(tmp_path, russian.encode("koi8-r"), "a.txt", "text/plain; charset=koi8-r").text == russian
    assert parsed(tmp_path, GERMAN.encode(), "a.txt", "text/plain; charset=latin-1").text == GERMAN
    page = f"<html><head><meta charset=utf-8></head><body><p>{GERMAN}</p></body></html>"
    assert GERMAN in parsed(tmp_path, page.encode("latin-1"), "a.html").text


def test_a_few_broken_bytes_do_not_make_another_encoding(tmp_path: Path) -> None:
    result = parsed(tmp_path, (GERMAN * 100).encode() + b"\xff end", "a.txt")
    assert "süßen" in result.text
    assert result.notes == ("Some of its bytes are not UTF-8.",)


@pytest.mark.parametrize(
    ("content", "name", "media_type"),
    [
        (PAGE.encode(), "a.txt", "text/html"),
        (PAGE.encode(), "a.pdf", "text/html"),
        (pdf([["Text."]]), "a.html", "application/pdf"),
        (b"just words, no page", "a.html", "text/plain"),
        (b"not json at all", "a.json", "text/plain"),
    ],
)
def test_a_mislabelled_file_is_read_as_what_it_is(tmp_path: Path, content: bytes, name: str, media_type: str) -> None:
    assert parsed(tmp_path, content, name).media_type == media_type


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"", "empty"),
        (b" \n\t\n", "empty"),
        (bytes(range(256)) * 20, "binary"),
        (b"\x89PNG\r\n\x1a\n" + b"\0" * 50, "OCR"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 600, "before 2007"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + "EncryptedPackage".encode("utf-16-le"), "encrypted"),
        (b"{\\rtf1 hello}", "RTF"),
        (b"\x1f\x8b\x08" + b"\0" * 50, "archive"),
        (b"ID3" + b"\0" * 50, "Transcribe"),
    ],
)
def test_what_holds_no_text_is_refused_in_words(tmp_path: Path, content: bytes, what: str) -> None:
    with pytest.raises(Unsupported) as error:
        parsed(tmp_path, content, "a.doc")
    assert what in str(error.value)


def test_a_text_over_the_limit_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "big.log"
    with path.open("wb") as file:
        file.truncate(2 << 30)  # 2 GiB, sparse
        file.write(b"2026-01-01 started\n" * 1000)
    with pytest.raises(TooLarge) as error:
        read(path, "big.log", "", ParseLimits())
    assert error.value.actual == 2 << 30
    with pytest.raises(TooLarge, match="characters"):
        parsed(tmp_path, "word " * 100, "a.txt", limits=ParseLimits(characters=400))


def test_archives_that_unpack_to_too_much_are_refused(tmp_path: Path) -> None:
    limits = ParseLimits(members=50, unpacked_bytes=8 << 20, ratio=100)
    members = {"word/document.xml": b"<w/>"}
    bombs = {
        "members": {**members, **{f"m{number}": b"" for number in range(60)}},
        "unpacked": {**members, "a": b"0" * (5 << 20), "b": b"0" * (5 << 20)},
        "times": {**members, "a": b"0" * (3 << 20)},
    }
    for word, content in bombs.items():
        path = office_zip(tmp_path / f"{word}.docx", content)
        with pytest.raises(TooLarge, match=word):
            read(path, path.name, "", limits)


def test_office_files_that_declare_entities_or_are_none_are_refused(tmp_path: Path) -> None:
    entities = b'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a "a">]><w>&a;</w>'
    path = office_zip(tmp_path / "a.docx", {"word/document.xml": entities})
    with pytest.raises(Damaged, match="document type"):
        read(path, path.name, "", ParseLimits())
    with pytest.raises(Unsupported, match="archive"):
        read(office_zip(tmp_path / "a.zip", {"a.txt": b"x"}), "a.zip", "", ParseLimits())
    assert zipfile.is_zipfile(path)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(Damaged):
        read(path, path.name, "", ParseLimits())


@settings(max_examples=150, deadline=None)
@given(
    st.one_of(st.binary(max_size=300), st.text(max_size=300).map(str.encode)),
    st.sampled_from(["a.txt", "a.md", "a.html", "a.csv", "a.json", "a.jsonl", "a.xml", "a.eml", "a.py", "a"]),
)
def test_whatever_comes_gives_lawful_blocks_or_an_error_in_words(
    tmp_path_factory: pytest.TempPathFactory, content: bytes, name: str
) -> None:
    folder = tmp_path_factory.getbasetemp()
    try:
        said = parsed(folder, content, name).text
    except CratonError as error:
        said = str(error)
    assert said.strip()
    assert str(folder) not in said


@pytest.mark.parametrize("name", ["a.md", "a.txt", "a.html", "a.csv", "a.json", "a.xml"])
@pytest.mark.parametrize("part", ["# ", " ", "-", "| ", "\n\n", "`", "<b>", "<!--", "\u200d", "[", "a: "])
def test_time_grows_with_the_document_and_no_faster(tmp_path: Path, name: str, part: str) -> None:
    started = time.process_time()
    with contextlib.suppress(CratonError):
        parsed(tmp_path, part * (100_000 // len(part)) + "x", name)
    assert time.process_time() - started < 10  # well under a second here; far more if it were quadratic
