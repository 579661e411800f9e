#!/usr/bin/env bash
# The real TensorFlow Serving, from nothing to the same picture: export, build the image, run it, ask it over both wires
# for pictures, compare them with keras_ddpm.sample, stop. For who has Docker; run it from anywhere after `make setup`.
#     serving/deploy/smoke.sh
# Settings, from the environment: IMAGE, GRPC_PORT, REST_PORT, PYTHON. With SERVER_IS_RUNNING=1 it starts nothing and asks
# the server at these ports.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

image=${IMAGE:-ddpm-serving}
grpc_port=${GRPC_PORT:-18500}
rest_port=${REST_PORT:-18501}
python=${PYTHON:-.venv/bin/python}
out=$(mktemp -d)
container=

finish() {
    local status=$?
    if [[ -n $container ]]; then
        if ((status)); then docker logs --tail 50 "$container" >&2 || true; fi
        docker rm --force "$container" >/dev/null || true
    fi
    rm -rf "$out"
    if ((status)); then echo "FAILED ($status)" >&2; fi
}
trap finish EXIT

say() { printf '\n== %s\n' "$*"; }

if [[ -z ${SERVER_IS_RUNNING:-} ]]; then
    docker info >/dev/null || { echo "error: needs Docker, and a daemon that runs" >&2; exit 2; }

    say "export"
    if ! compgen -G "models/ddpm/*/saved_model.pb" >/dev/null; then
        "$python" -m export --preset mnist --out models/ddpm
    fi
    "$python" -m export verify models/ddpm

    say "build and run"
    docker build --file serving/deploy/Dockerfile --tag "$image" .
    container=$(docker run --detach --init --read-only --tmpfs /tmp --cap-drop ALL \
        --publish "127.0.0.1:$grpc_port:8500" --publish "127.0.0.1:$rest_port:8501" "$image")
fi

say "wait and compare, gRPC"
"$python" -m serving.deploy.compare "localhost:$grpc_port"

say "compare, REST"
"$python" -m serving.deploy.compare "http://localhost:$rest_port"

say "command line"
"$python" -m serving status --server "localhost:$grpc_port"
"$python" -m serving sample 7 --server "localhost:$grpc_port" --out "$out/seven.png"
[[ -s $out/seven.png ]]

say "health"
if [[ -n $container ]]; then docker exec "$container" bash /usr/local/bin/healthcheck.sh; fi
bash serving/deploy/healthcheck.sh 127.0.0.1 "$rest_port"
"$python" - "localhost:$grpc_port" <<'PYTHON'
import sys

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

with grpc.insecure_channel(sys.argv[1]) as channel:
    answer = health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=10)
print(health_pb2.HealthCheckResponse.ServingStatus.Name(answer.status))
sys.exit(answer.status != health_pb2.HealthCheckResponse.SERVING)
PYTHON

if [[ -n $container ]]; then
    say "metrics"
    "$python" - "http://localhost:$rest_port/monitoring/prometheus/metrics" <<'PYTHON'
import json
import sys
import urllib.request

with open("serving/deploy/monitoring/metrics.json") as file:
    known = json.load(file)["metrics"]
with urllib.request.urlopen(sys.argv[1], timeout=10) as answer:
    page = answer.read().decode()
missing = [name for name in known if name.startswith(":") and name not in page]
print("missing:", missing or "none")
sys.exit(bool(missing))
PYTHON
fi

if [[ -n $container ]]; then server="TensorFlow Serving"; else server="the server at port $grpc_port"; fi
say "$server draws what keras_ddpm.sample draws"
