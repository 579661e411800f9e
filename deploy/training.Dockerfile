# The image of deploy/kubernetes-training.yaml: docker build -f deploy/training.Dockerfile -t ddpm-training .
FROM python:3.11-slim
ARG JAX=jax[cuda12]
WORKDIR /app
COPY pyproject.toml setup.py README.md LICENSE train.py ./
COPY keras_ddpm keras_ddpm
COPY configs configs
COPY export export
COPY serving serving
RUN pip install --no-cache-dir . "${JAX}"
