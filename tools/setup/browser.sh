#!/usr/bin/env bash
# Installs Debian's Chromium, with which tests open pages; does nothing if it is there.
#
#   bash tools/setup/browser.sh
set -euo pipefail

command -v chromium >/dev/null || command -v chromium-browser >/dev/null && exit 0
if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
    echo 'browser: install Chromium, for example with: sudo apt-get install chromium' >&2
    exit 1
fi
echo '== browser: installing chromium'
apt-get update -qq
DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends chromium \
    fonts-dejavu-core >/dev/null
