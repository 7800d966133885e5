from django.urls import path

from annotator.accounts import views
from annotator.accounts.session import session
from annotator.languages.choice import choose_language

app_name = "accounts"
urlpatterns = [
    path("login/", views.LoginView.as_view(), name="login"),
    path("session/", session, name="session"),
    path("logout/", views.LogoutView.as_view(), name="logout"),
    path("password/", views.PasswordChangeView.as_view(), name="password_change"),
    path("language/", choose_language, name="language"),
    path("profile/", views.ProfileView.as_view(), name="profile"),
]
