"""README's deploy steps and the files of docs/deploy say what is so: commands, settings, options, paths, limits."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from django.conf import settings
from django.core.management import get_commands, load_command_class
from gunicorn.config import Config

from tests.dev.test_launcher import free_port
from tests.simulator import ROOT

README = (ROOT / "README.md").read_text()
DEPLOY = README[README.index("### Deploy it") : README.index("## Speed")]
KEYS = (ROOT / "docs" / "keys.md").read_text()
FILES = ROOT / "docs" / "deploy"
UNITS = sorted(FILES.glob("*.service"))
#: Names of settings in settings.py, and the default of those that are numbers.
READ = dict(re.findall(r'\benv\.\w+\(\s*"([A-Z_]+)"(?:, (\d+),)?', (ROOT / "config" / "settings.py").read_text()))


def blocks() -> str:
    """The steps' commands, as somebody copies them."""
    return "\n".join(line[7:] for line in DEPLOY.splitlines() if line.startswith(" " * 7))


def told_settings() -> dict[str, str]:
    """Name and default of each setting in README's table."""
    told = {}
    for first, default in re.findall(r"(?m)^\| (`[A-Z].*?) \| .* \| (.*) \|$", README):
        told.update(dict.fromkeys(re.findall(r"`([A-Z_]+)`", first), default))
    return told


@pytest.mark.promise("readme-deploy-steps")
def test_readme_names_each_setting_that_is_read_and_no_other() -> None:
    assert told_settings().keys() == READ.keys()


def test_readme_s_defaults_are_those_that_hold() -> None:
    numbers = {name: default for name, default in READ.items() if default}
    assert len(numbers) > 5
    assert {name: told_settings()[name] for name in numbers} == numbers


@pytest.mark.promise("readme-deploy-steps")
def test_each_command_that_is_named_exists() -> None:
    named = set(re.findall(r"(?m)(?:manage\.py |`foyer |^ {7}foyer )(\w+)", DEPLOY + KEYS))
    named |= set(re.findall(r"`(rotate_keys|check_books|migrate|reconcile_payments)`", DEPLOY + KEYS))
    assert {"migrate", "collectstatic", "createsuperuser", "doctor", "backup", "restore", "procrastinate"} <= named
    assert named <= get_commands().keys()


def test_the_steps_are_a_shell_s() -> None:
    for script in (blocks(), (FILES / "foyer.sh").read_text()):
        assert subprocess.run(["/bin/sh", "-n"], input=script, text=True, check=False).returncode == 0


def test_each_file_that_a_step_takes_is_there() -> None:
    taken = {name for pattern in re.findall(r"docs/deploy/(\S+)", blocks()) for name in map(str, FILES.glob(pattern))}
    assert taken == set(map(str, FILES.iterdir()))
    assert all(list(FILES.glob(pattern)) for pattern in re.findall(r"docs/deploy/(\S+)", blocks()))
    units = {name for line in re.findall(r"(?m)^systemctl enable --now (.*)$", blocks()) for name in line.split()}
    assert units == {"foyer-web", "foyer-worker", "foyer-backup.timer"}
    assert all((FILES / (unit if "." in unit else f"{unit}.service")).exists() for unit in units)


def unit(path: Path) -> dict[str, str]:
    return dict(re.findall(r"(?m)^(\w+)=(.*)$", path.read_text()))


def commands() -> list[list[str]]:
    """Each command line of the units, and those that README has for who has no systemd."""
    lines = [value for path in UNITS for name, value in unit(path).items() if name == "ExecStart"]
    lines += re.findall(r"(?m)^    ((?:gunicorn|python manage\.py) .*)$", DEPLOY)
    return [shlex.split(line, comments=True) for line in lines]


def test_the_web_server_s_options_are_gunicorn_s() -> None:
    found = [line for line in commands() if line[0].endswith("gunicorn")]
    assert len(found) == 2
    for line in found:
        options = Config().parser().parse_args(line[1:])
        assert options.args == ["config.wsgi"]
        assert (options.worker_class, options.workers, options.threads) == ("gthread", 2, 4)
        assert options.control_socket_disable
    port = urlsplit("//" + Config().parser().parse_args(found[0][1:]).bind[0]).port
    assert f"server 127.0.0.1:{port};" in (FILES / "nginx.conf").read_text()


def test_the_worker_s_options_are_procrastinate_s() -> None:
    found = [line[line.index("procrastinate") + 1 :] for line in commands() if "procrastinate" in line]
    assert len(found) == 2
    worker = load_command_class("procrastinate.contrib.django", "procrastinate")
    for line in found:
        assert worker.create_parser("manage.py", "procrastinate").parse_args(line).concurrency == 4


def test_units_env_and_steps_name_the_same_places() -> None:
    given = dict(re.findall(r"(?m)^#?([A-Z_]+)='(.*)'$", (FILES / "foyer.env").read_text()))
    assert given.keys() <= READ.keys()
    for path in UNITS:
        service = unit(path)
        assert service["User"] == service["Group"] == "foyer"
        assert service["ReadWritePaths"] == given["DATA_DIR"]
        assert service["EnvironmentFile"] == "/etc/foyer/foyer.env"
        assert service["ExecStart"].startswith("/srv/foyer/venv/bin/")
        assert service["WorkingDirectory"] == "/srv/foyer/app"
        assert service.get("Restart") == "always" or service["Type"] == "oneshot"
    for place in (given["DATA_DIR"], "/etc/foyer/foyer.env", "/srv/foyer/venv", "requirements.txt"):
        assert place in blocks()
    sure = " ".join((FILES / "foyer.sh").read_text().split())
    assert ". /etc/foyer/foyer.env" in sure
    assert "exec /srv/foyer/venv/bin/python manage.py" in sure


def test_the_keys_are_made_and_the_settings_read_as_the_steps_say(tmp_path: Path) -> None:
    """Step 2's commands and step 3's `foyer`, in a folder of this test, with nothing else in the environment."""
    (loop,) = re.findall(r"(?ms)^for key in .*?^done$", blocks())
    places = {
        "/etc/foyer": str(tmp_path),
        "/srv/foyer/venv/bin/python": sys.executable,
        "/srv/foyer/app": str(ROOT),
        "/srv/foyer/data": str(tmp_path / "data"),
        '"$(id -un)" != foyer': "no = yes",
    }

    def here(text: str) -> str:
        for place, own in places.items():
            text = text.replace(place, own)
        return text

    (tmp_path / "foyer.env").write_text(here((FILES / "foyer.env").read_text()))
    (tmp_path / "foyer").write_text(here((FILES / "foyer.sh").read_text()))
    bare = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}
    script = f"set -e\n{here(loop)}\nexec sh {tmp_path}/foyer check --deploy --fail-level ERROR"
    done = subprocess.run(["/bin/sh", "-c", script], env=bare, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    made = dict(re.findall(r"(?m)^(\w+_KEYS?|STATUS_TOKEN)='(\S+)'$", (tmp_path / "foyer.env").read_text()))
    assert made.keys() == {"SECRET_KEY", "FIELD_KEYS", "STATUS_TOKEN"}
    assert len(set(made.values())) == 3
    assert min(map(len, made.values())) >= 48


# --- The proxy

NGINX = (FILES / "nginx.conf").read_text()


def test_the_proxy_buffers_times_out_compresses_and_takes_what_foyer_takes() -> None:
    given = dict(re.findall(r"(?m)^\s*(\w+) ([^;]+);", re.sub(r"#.*", "", NGINX)))
    assert given["proxy_request_buffering"] == given["proxy_buffering"] == given["gzip"] == "on"
    for name in ("client_header_timeout", "client_body_timeout", "send_timeout", "proxy_connect_timeout"):
        assert 1 <= int(given[name].removesuffix("s")) <= 60, name
    assert int(given["proxy_read_timeout"].removesuffix("s")) > settings.STATEMENT_SECONDS
    assert int(given["client_max_body_size"].removesuffix("m")) * 1024 * 1024 == settings.PICTURE_BODY_MOST
    headers = dict(re.findall(r"proxy_set_header (\S+) (\S+);", NGINX))
    assert headers["X-Forwarded-Proto"] == "$scheme"
    assert headers["X-Forwarded-For"] == "$remote_addr", "one proxy, and nothing that a visitor wrote"
    assert headers["Host"] == "$host"
    assert headers["X-Request-ID"] == "$request_id"


@pytest.mark.parametrize(
    ("address", "logged"),
    [
        ("/orders/link/eyJvIjoxfQ:1abc/?x=1", "/orders/link/..."),
        ("/tickets/link/secret", "/tickets/link/..."),
        ("/?q=a", "/"),
        ("/events/1/", "/events/1/"),
    ],
)
def test_no_signed_link_stands_in_the_proxy_s_log(address: str, logged: str) -> None:
    """As nginx reads its map: the first expression that fits."""
    (rules,) = re.findall(r"(?s)map \$request_uri \$foyer_uri \{(.*?)\n\}", NGINX)
    for pattern, value in re.findall(r'"~(.*?)" +"(.*?)";', rules):
        if found := re.search(pattern.replace("?<", "?P<"), address):
            said = re.sub(r"\$\{?(\w+)\}?", r"\\g<\1>", value)
            assert found.expand(said) == logged
            return
    pytest.fail("no rule fits")


def test_nginx_takes_it_where_there_is_one(tmp_path: Path) -> None:
    program = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin")
    if program is None:
        return  # the test before has read it
    subject = ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=tickets.example.org"]
    made = [*subject, "-keyout", f"{tmp_path}/privkey.pem", "-out", f"{tmp_path}/fullchain.pem"]
    subprocess.run(["/usr/bin/openssl", *made], check=True, capture_output=True)
    own = NGINX.replace("/etc/letsencrypt/live/tickets.example.org", str(tmp_path))
    own = own.replace("/var/log/nginx", str(tmp_path))
    own = re.sub(r"listen \[::\].*;", "", own)
    for port in ("80", "443 ssl"):
        own = own.replace(f"listen {port}", f"listen 127.0.0.1:{free_port()}{port[3:]}")
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    own += "".join(f"\n{kind}_temp_path {tmp_path}/{kind};" for kind in kinds)
    (tmp_path / "nginx.conf").write_text(
        f"pid {tmp_path}/pid;\nerror_log {tmp_path}/error.log;\nevents {{}}\nhttp {{\n{own}\n}}\n"
    )
    done = subprocess.run(
        [program, "-t", "-p", tmp_path, "-c", tmp_path / "nginx.conf"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
