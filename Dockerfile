# leadflood in one container: the engine, its HTTP edge and, unless DATABASE_URL is set, its Postgres.
#
#   docker build -t leadflood .
#   docker run -v leadflood:/data -p 127.0.0.1:5050:5050 leadflood
#
# The log names a link, once, that makes you the administrator.

FROM python:3.13-slim AS build
WORKDIR /source
RUN python -m venv /opt/leadflood
COPY pyproject.toml README.md ./
COPY leadflood ./leadflood
COPY migrations ./migrations
COPY config ./config
RUN /opt/leadflood/bin/pip install --no-cache-dir .

FROM python:3.13-slim
# initdb wants a user with a name; 10001 is nobody else's number
RUN groupadd --gid 10001 leadflood \
    && useradd --uid 10001 --gid leadflood --home-dir /data --no-create-home leadflood \
    && install --directory --owner=leadflood --group=leadflood --mode=0700 /data
COPY --from=build /opt/leadflood /opt/leadflood
ENV PATH=/opt/leadflood/bin:$PATH \
    LEADFLOOD_DATA=/data \
    LEADFLOOD_HTTP__HOST=0.0.0.0 \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1
USER leadflood
WORKDIR /data
VOLUME ["/data"]
EXPOSE 5050
# time for work in hand, and for the embedded server to write what it holds
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=120s --retries=3 \
    CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:5050/health', timeout=4)"]
ENTRYPOINT ["leadflood"]
CMD ["serve"]
