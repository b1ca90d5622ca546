"""The test of the test: it must see what is wrong, and pass over what may differ."""

import pathlib
import sys
import tempfile
import textwrap
import unittest

from links import Checker
from mask import Mask
from page import Page, slug_of

ID_1 = "01a1fbe1-4f9d-7efd-bb8a-37ea6e3d3f5a"
ID_2 = "01a1fbe1-4f9d-7efd-bb8a-37ea6e3d3f5b"


def page(text):
    return Page(pathlib.Path("page.md"), textwrap.dedent(text))


class Reading(unittest.TestCase):
    def test_an_output_belongs_to_the_block_before_it(self):
        blocks = page("""\
            ```sql
            SELECT 1;
            ```

            ```text
            1
            ```
            """).blocks
        self.assertEqual([(b.text, b.expected.text) for b in blocks], [("SELECT 1;", "1")])

    def test_prose_between_them_parts_block_and_output(self):
        blocks = page("```sql\nSELECT 1;\n```\nelsewhere:\n```text\n2\n```\n").blocks
        self.assertEqual([b.expected for b in blocks], [None, None])

    def test_a_directive_belongs_to_the_next_block(self):
        blocks = page("<!-- test: as application -->\n```sql\n1\n```\n```sql\n2\n```\n").blocks
        self.assertEqual([b.directives for b in blocks], [["as application"], []])

    def test_a_block_without_end_is_an_error(self):
        with self.assertRaises(ValueError):
            page("```sql\nSELECT 1;\n")

    def test_outputs_are_replaced_where_they_stand(self):
        written = page("```sql\n1\n```\n```text\nold\n```\n```sql\n2\n```\n```text\nold\nold\n```\nend\n")
        new = written.with_outputs([(block.expected, f"new {i}") for i, block in enumerate(written.blocks)])
        self.assertEqual(new, "```sql\n1\n```\n```text\nnew 0\n```\n```sql\n2\n```\n```text\nnew 1\n```\nend\n")


class Masking(unittest.TestCase):
    def same(self, left, right):
        return Mask().lines(left) == Mask().lines(right)

    def test_moments_and_widths_may_differ(self):
        self.assertTrue(self.same("| 2026-01-31 12:00:00.5+00 |\n|---|", "|  2025-12-01 08:00:00.123456+00 |\n|-----|"))

    def test_ids_may_differ_but_not_their_identity(self):
        self.assertTrue(self.same(f"{ID_1} {ID_1}", f"{ID_2} {ID_2}"))
        self.assertFalse(self.same(f"{ID_1} {ID_1}", f"{ID_1} {ID_2}"))

    def test_everything_else_is_compared(self):
        self.assertFalse(self.same("(1 row)", "(2 rows)"))
        self.assertFalse(self.same("a\nb", "a"))


class Links(unittest.TestCase):
    def findings(self, text):
        with tempfile.TemporaryDirectory() as place:
            root = pathlib.Path(place).resolve()
            (root / "Makefile").write_text("all test: ## both\nX := y\n", encoding="utf-8")
            (root / "other.md").write_text("# The `oms` page\n\n## Twice\n\n## Twice\n", encoding="utf-8")
            (root / "page.md").write_text(text, encoding="utf-8")
            return list(Checker(root).findings(root / "page.md"))

    def test_what_exists_is_not_reported(self):
        text = "[a](other.md#the-oms-page) [b](other.md#twice-1) [c](https://example.org/x) `make test`"
        self.assertEqual(self.findings(text), [])

    def test_what_does_not_exist_is_reported(self):
        text = "[a](gone.md)\n[b](other.md#gone)\n[c](../..)\n`make gone`\n`src/gone.cpp`\n"
        self.assertEqual(len(self.findings(text)), 5)

    def test_code_holds_no_links(self):
        self.assertEqual(self.findings("`[a](gone.md)`\n```sql\n[a](gone.md)\n```\n"), [])

    def test_headings_become_anchors_as_on_github(self):
        self.assertEqual(slug_of("What `oms` does, and when (not)"), "what-oms-does-and-when-not")


if __name__ == "__main__":
    suite = unittest.defaultTestLoader.loadTestsFromModule(sys.modules[__name__])
    result = unittest.TextTestRunner(sys.stderr, verbosity=0).run(suite)
    bad = len(result.failures) + len(result.errors)
    print(f"{result.testsRun - bad} passed, {bad} failed")
