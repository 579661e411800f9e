#!/usr/bin/env bash
# Healthy = the model server answers on its REST port and has an AVAILABLE version of the model.
# Usage: healthcheck.sh [HOST [PORT [MODEL]]]
set -euo pipefail

host=${1:-127.0.0.1}
port=${2:-8501}
model=${3:-ddpm}

exec 3<>"/dev/tcp/${host}/${port}"
printf 'GET /v1/models/%s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n' "$model" "$host" >&3
timeout 4 grep -q '"AVAILABLE"' <&3
