#!/bin/sh
# /usr/local/bin/foyer: manage.py with the settings of this deployment, as the user who runs it. `foyer doctor`
set -eu
if [ "$(id -un)" != foyer ]; then exec runuser -u foyer -- "$0" "$@"; fi
set -a
. /etc/foyer/foyer.env
set +a
cd /srv/foyer/app
exec /srv/foyer/venv/bin/python manage.py "$@"
