"""A page that asks first: whom and what it hits, in numbers, and what may be chosen about it; then yes, or back.

What was sent waits in the page's own form, and comes again with the answer. The answer carries a digest of what was
said: when that has changed meanwhile, the question is asked once more.
"""

import copy
import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import wraps
from typing import Any, TypeVar

from django import forms
from django.contrib.admin.helpers import AdminErrorList
from django.core.exceptions import ValidationError
from django.db import models
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, QueryDict
from django.template.response import TemplateResponse
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from events.scoping import ScopedAdmin

Row = TypeVar("Row", bound=models.Model)

#: All that the page itself asks is called `asked-…`; the rest is what waits.
PREFIX = "asked"
SURE = f"{PREFIX}-sure"
#: The choice whether mails go out.
TELL = "tell"
SEND, SILENT = "send", "silent"

Asked = Callable[[Any, HttpRequest, QuerySet[Any]], "Question"]
Action = Callable[[Any, HttpRequest, QuerySet[Any]], HttpResponse | None]


@dataclass(frozen=True)
class Question:
    """What would be done, sentence by sentence, and the button that does it; "" when nothing can be done.

    `fields` are what may be chosen, by name: each has to be answered.
    """

    title: str
    words: tuple[str, ...]
    yes: str
    fields: Mapping[str, forms.Field] = field(default_factory=dict)

    @property
    def digest(self) -> str:
        said = [self.title, *map(str, self.words), *self.fields]
        return hashlib.sha256(json.dumps(said).encode()).hexdigest()[:32]

    def form(self, data: QueryDict | None) -> forms.Form:
        form = forms.Form(data, prefix=PREFIX)
        form.fields.update(copy.deepcopy(dict(self.fields)))
        return form

    def answer(self, data: QueryDict) -> dict[str, Any] | None:
        """What was chosen by who answered this very question; None: it has to be asked."""
        form = self.form(data)
        return form.cleaned_data if self.yes and data.get(SURE) == self.digest and form.is_valid() else None


def tell_field(label: Any) -> forms.ChoiceField:
    """Whether mails go out."""
    return forms.ChoiceField(
        label=label,
        choices=[(SEND, _("Send the mails")), (SILENT, _("Send no mail"))],
        widget=forms.RadioSelect,
        initial=SEND,
    )


def question_page(desk: Any, request: HttpRequest, question: Question, *, back: str, **more: Any) -> TemplateResponse:
    """The page of `question`; "No" leads to `back`, its form to the address at hand."""
    again = SURE in request.POST
    waiting = [
        (name, value)
        for name, values in request.POST.lists()
        for value in values
        if name != "csrfmiddlewaretoken" and not name.startswith(f"{PREFIX}-")
    ]
    context = {
        **desk.admin_site.each_context(request),
        "opts": desk.opts,
        "title": question.title,
        "question": question,
        "form": question.form(request.POST if again else None),
        "has_changed": again and request.POST[SURE] != question.digest,
        "waiting": waiting,
        "back": back,
        **more,
    }
    return TemplateResponse(request, "admin/foyer/asked.html", context, status=422 if again else 200)


def asked_first(question: Asked) -> Callable[[Action], Action]:
    """An action of a list that shows `question` before it is done."""

    def asking(action: Action) -> Action:
        @wraps(action)
        def asked(desk: Any, request: HttpRequest, rows: QuerySet[Any]) -> HttpResponse | None:
            first = question(desk, request, rows)
            if first.answer(request.POST) is None:
                return question_page(desk, request, first, back=request.get_full_path())
            return action(desk, request, rows)

        return asked

    return asking


class AskingForm(forms.ModelForm[Row]):
    """A form that is valid only once its question, if it has one, is answered."""

    question: Question | None = None
    answer: Mapping[str, Any] = {}

    def ask(self, question: Question | None) -> None:
        """To be called at the end of clean()."""
        if question is None or self.errors:
            return
        answer = question.answer(self.data) if isinstance(self.data, QueryDict) else None
        if answer is None:
            self.question = question
            self.add_error(None, ValidationError(gettext("Something is asked before this is saved."), code=PREFIX))
        else:
            self.answer = answer

    def only_asks(self, errors: AdminErrorList) -> bool:
        """All else in it is right, and in what stands below it: among the `errors` of its page is nothing else."""
        codes = [error.code for found in self.errors.as_data().values() for error in found]
        return self.question is not None and codes == [PREFIX] and len(errors) == 1


class AskingAdmin(ScopedAdmin[Row]):
    """A ScopedAdmin whose form is an AskingForm: the question is a page of its own."""

    def render_change_form(
        self,
        request: HttpRequest,
        context: dict[str, Any],
        add: bool = False,
        change: bool = False,
        form_url: str = "",
        obj: Row | None = None,
    ) -> HttpResponse:
        form = context["adminform"].form
        if isinstance(form, AskingForm) and form.question and form.only_asks(context["errors"]):
            files = [form[name] for name in request.FILES if name in form.fields]
            more = {"files": files, "original": context["original"]}
            return question_page(self, request, form.question, back=request.get_full_path(), **more)
        return super().render_change_form(request, context, add, change, form_url, obj)
