from django.urls import path

from dev.demo import mailbox

urlpatterns = [
    path("", mailbox.mail_list, name="mail_list"),
    path("<str:key>/", mailbox.mail, name="mail"),
    path("<str:key>/html/", mailbox.mail_html, name="mail_html"),
    path("<str:key>/attachments/<int:number>/", mailbox.mail_attachment, name="mail_attachment"),
]
