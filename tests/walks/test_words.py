"""One word for one thing, and the cursor where one field is the page's point."""

import ast
import re
from pathlib import Path

import pytest
from django.apps import apps
from django.conf import settings
from django.test import Client

from dev.shape import ROOMS

TEMPLATES = Path(settings.BASE_DIR) / "templates"
DEMO_TEMPLATES = Path(settings.BASE_DIR) / "dev" / "templates"
#: What is marked for translation, in templates and in code.
TOLD = re.compile(
    r"""translate "((?:[^"\\]|\\.)*)"|{% blocktranslate[^%]*%}(.*?){% endblocktranslate|\b_\(\s*"((?:[^"\\]|\\.)*)\"""",
    re.DOTALL,
)
#: The noun is *e-mail address*; the short word for a message is *mail*.
WRONG = re.compile(r"\bemails?\b|(?<!e-)\bmail address", re.IGNORECASE)


def told(path: Path) -> list[str]:
    """The sentences in a file, without the names of what is filled in."""
    sentences = ("".join(found) for found in TOLD.findall(path.read_text()))
    return [re.sub(r"{{.*?}}|%\(\w+\)[sd]", "", sentence) for sentence in sentences]


def files() -> list[Path]:
    code = [path for room in ROOMS for path in (Path(settings.BASE_DIR) / room).rglob("*.py")]
    return [*TEMPLATES.rglob("*.html"), *TEMPLATES.rglob("*.txt"), *DEMO_TEMPLATES.rglob("*.html"), *code]


def test_an_e_mail_address_is_called_so_everywhere() -> None:
    sentences = {sentence: path.name for path in files() for sentence in told(path)}
    assert len(sentences) > 1000
    assert any("e-mail address" in sentence for sentence in sentences)
    assert {sentence: name for sentence, name in sentences.items() if WRONG.search(sentence)} == {}
    names = {
        str(field.verbose_name)
        for model in apps.get_models()
        if model._meta.app_label in ROOMS
        for field in model._meta.concrete_fields
    }
    assert {name for name in names if WRONG.search(name)} == set()


@pytest.mark.django_db
def test_the_pages_of_signing_in_say_it_too(client: Client) -> None:
    page = client.get("/accounts/login/").content.decode()
    assert "E-mail address" in page
    assert WRONG.search(re.sub(r"<[^>]*>", " ", page)) is None


def test_the_cursor_waits_where_one_field_is_the_page_s_point_and_nowhere_else() -> None:
    """Elsewhere a page would jump, or a phone's keyboard cover it: the door, the counter, signing in, its code."""
    wanted = {str(path.relative_to(settings.BASE_DIR)) for path in files() if "autofocus" in path.read_text()}
    assert wanted == {"templates/events/desk.html", "accounts/forms.py", "accounts/views.py"}  # which takes one away


#: Who writes down what a case, or the end of one, says.
WRITERS = {"open_case", "write_case", "open_merchant_case", "close_cases", "record_by_hand", "Contradiction", "update"}


def bare_words(source: str) -> list[str]:
    """Sentences that are put in a case's `words` or `decision` as they stand, there or by a name given before."""
    found = []
    for function in ast.walk(ast.parse(source)):
        if isinstance(function, ast.FunctionDef):
            calls = [node for node in ast.walk(function) if isinstance(node, ast.Call) and _name(node) in WRITERS]
            given = [word.value for call in calls for word in call.keywords if word.arg in ("words", "decision")]
            names = {ast.unparse(value) for value in given if isinstance(value, ast.Name)}
            given += [
                node.value
                for node in ast.walk(function)
                if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) in names
            ]
            found += [ast.unparse(value) for value in given if _is_sentence(value)]
    return found


def _name(call: ast.Call) -> str:
    return ast.unparse(call.func).rpartition(".")[2]


def _is_sentence(value: ast.expr) -> bool:
    return isinstance(value, ast.JoinedStr) or (isinstance(value, ast.Constant) and " " in str(value.value))


def test_the_words_of_a_case_are_marked_for_translation() -> None:
    sources = {path: path.read_text() for path in (Path(settings.BASE_DIR) / "payments").rglob("*.py")}
    assert {path.name: bare for path, source in sources.items() if (bare := bare_words(source))} == {}


@pytest.mark.parametrize(
    "body",
    [
        'open_case(kind, row, words="It is so.")',
        'open_case(kind, row, words=f"It is {so}.")',
        'words = "It is so."; open_case(kind, row, words=words)',
        'rows.update(decision="It is so.")',
    ],
)
def test_a_bare_sentence_of_a_case_is_found(body: str) -> None:
    marked = re.sub(r'f?"It is .*?"', '_("So.")', body)
    assert bare_words(f"def work():\n {body}")
    assert not bare_words(f"def work():\n {marked}")
