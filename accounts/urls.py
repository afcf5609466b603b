"""Sign-in's addresses: of allauth's, only those that Foyer has a page for."""

from allauth.account.views import account_inactive, logout
from django.urls import path

from accounts import views

urlpatterns = [
    path("login/", views.SignInView.as_view(), name="account_login"),
    path("login/code/", views.to_sign_in, name="account_request_login_code"),
    path("login/code/confirm/", views.EnterCodeView.as_view(), name="account_confirm_login_code"),
    path("signup/", views.to_sign_in, name="account_signup"),
    path("logout/", logout, name="account_logout"),
    path("inactive/", account_inactive, name="account_inactive"),
    path("password/", views.password, name="account_change_password"),
]
