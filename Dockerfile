# The worker in a slim image: dependencies from the lock file, no build tools, no root.
FROM python:3.11-slim-bookworm AS build
ENV UV_PYTHON_DOWNLOADS=never UV_LINK_MODE=copy UV_COMPILE_BYTECODE=1 UV_NO_CACHE=1
RUN pip install --no-cache-dir uv==0.13.9
WORKDIR /app
COPY pyproject.toml uv.lock README.md LICENSE ./
RUN uv sync --frozen --no-dev --all-extras --no-extra demo --no-extra litellm --no-install-project
COPY streamapp ./streamapp
RUN uv sync --frozen --no-dev --all-extras --no-extra demo --no-extra litellm --no-editable

FROM python:3.11-slim-bookworm
RUN useradd --uid 10001 --user-group --no-create-home streamapp \
    && install -d -o streamapp -g streamapp /data
# Owned by root: the worker cannot change its own code, also where the root is not read-only.
COPY --from=build /app/.venv /app/.venv
ENV PATH=/app/.venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    STREAMAPP_DATA_DIR=/data \
    STREAMAPP_LOG_FORMAT=json
WORKDIR /data
USER 10001:10001
VOLUME /data
EXPOSE 6066
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=60s \
    CMD ["python", "-c", "import os, urllib.request as r; r.urlopen('http://127.0.0.1:' + os.environ.get('STREAMAPP_WEB_PORT', '6066') + '/livez', timeout=2)"]
CMD ["streamapp", "worker"]
