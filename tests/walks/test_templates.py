"""How templates are written: what their linter does not look at."""

from django.conf import settings

WIDTH = 120  # as in code (pyproject.toml, tool.ruff)


def test_no_line_of_a_template_is_longer_than_one_of_code() -> None:
    """A tag of Django is one line: its words come from a `with` around it, a sentence from `blocktranslate trimmed`."""
    rooms = ("templates", "dev/templates")
    templates = [path for room in rooms for path in (settings.BASE_DIR / room).rglob("*") if path.is_file()]
    assert len(templates) > 100
    assert [
        f"{path.relative_to(settings.BASE_DIR)}:{number}"
        for path in templates
        for number, line in enumerate(path.read_text().splitlines(), start=1)
        if len(line) > WIDTH
    ] == []
