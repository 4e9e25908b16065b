# The service of query vectors, m5 serve: no torch, no Spark; another user than root; a file system that may be read-only.
#
#   docker build -t m5-serve .
#   docker run --read-only --tmpfs /tmp -p 127.0.0.1:8321:8321 -v "$PWD/workspace/bundles/STUDENT-ID:/bundle:ro" m5-serve
#
# A bundle on S3 is named instead of /bundle, with AWS_* in the environment: its checked copy lies in /tmp then.
ARG PYTHON=3.12

FROM python:${PYTHON}-slim AS build
WORKDIR /source
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY schemas schemas
COPY m5model m5model
COPY spark spark
COPY jobs jobs
# Tests and headers that packages bring are as large as the service.
RUN python -m venv /opt/m5 \
    && /opt/m5/bin/pip install --no-cache-dir --no-compile -c constraints.txt '.[serve]' \
    && /opt/m5/bin/pip uninstall --yes --quiet pip \
    && find /opt/m5 -type d \( -name tests -o -name include -o -name __pycache__ \) -prune -exec rm -rf {} +

FROM python:${PYTHON}-slim
COPY --from=build /opt/m5 /opt/m5
ENV PATH=/opt/m5/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    M5_CACHE=/tmp/m5
USER 10001:10001
WORKDIR /tmp
EXPOSE 8321
STOPSIGNAL SIGTERM
HEALTHCHECK --start-period=30s --interval=10s --timeout=3s \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8321/health', timeout=2)"]
ENTRYPOINT ["m5", "serve", "--host", "0.0.0.0"]
CMD ["/bundle"]
