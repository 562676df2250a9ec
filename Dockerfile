# Serves a panel of the configuration `cpu`; docs/SERVING.md has the commands, and tests/test_dockerfile.py compares.
# The image itself was never built by the project's own tests: they run where there is no Docker.
FROM python:3.11-slim
# LightGBM's package leaves OpenMP's library to the system.
RUN apt-get update && apt-get install --yes --no-install-recommends libgomp1 && rm -rf /var/lib/apt/lists/*

WORKDIR /mire
COPY setup.cfg pyproject.toml constraints.txt README.md LICENSE ./
COPY mire mire
COPY router router
COPY experts experts
COPY ensemble ensemble
# --build-arg PIP_EXTRA_INDEX_URL=... with PyTorch's CPU index takes torch without CUDA, --build-arg PIP_INDEX_URL a mirror.
ARG PIP_EXTRA_INDEX_URL
ARG PIP_INDEX_URL
RUN pip install -c constraints.txt -e '.[serve]' --no-cache-dir

# The file system may be read-only: all that is written goes to /tmp, a tmpfs of the documented command.
ENV HOME=/tmp MIRE_CACHE=/tmp/mire MPLCONFIGDIR=/tmp/matplotlib PYTHONDONTWRITEBYTECODE=1
RUN useradd --system --uid 10001 --no-create-home mire
USER mire
EXPOSE 7860
HEALTHCHECK --start-period=60s --interval=30s --timeout=6s \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:7860/healthz', timeout=5)"]
ENTRYPOINT ["mire", "serve", "--panel", "/panel", "--host", "0.0.0.0"]
