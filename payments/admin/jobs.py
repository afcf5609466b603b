"""The worker's jobs in the admin, as procrastinate shows them: for superusers, by the list's own filters."""

from django.contrib import admin
from procrastinate.contrib.django.admin import ProcrastinateJobAdmin
from procrastinate.contrib.django.models import ProcrastinateJob

from accounts.lists import OwnFilters

admin.site.unregister(ProcrastinateJob)


@admin.register(ProcrastinateJob)
class JobAdmin(OwnFilters, ProcrastinateJobAdmin):
    pass
