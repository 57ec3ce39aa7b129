# The gateway with its page in a slim image: docker build -t llmproxy .

# The base images by digest, as a tag may become another image at any time. For the newest of a tag:
#   docker buildx imagetools inspect python:3.11-slim-trixie --format '{{.Manifest.Digest}}'
ARG NODE_IMAGE=node:22-bookworm-slim@sha256:83f487e0a63425e5b4d146fb5e5be574bcbe1b7b843d3ebafdd95eaf7767a7e5
ARG PYTHON_IMAGE=python:3.11-slim-trixie@sha256:9c900dea9e8fb7e16277c179b555cc72d29a352dbc33cff48ad5a0412fd5bfc7

FROM ${NODE_IMAGE} AS page
WORKDIR /src/ui
COPY ui/package.json ui/package-lock.json ./
RUN npm ci --no-audit --no-fund
COPY ui/ ./
# Vite writes into ../llmproxy/static, as in a checkout.
RUN npm run build

FROM ${PYTHON_IMAGE} AS wheel
WORKDIR /src
# Versions and hashes are those of this file; nothing else is fetched.
COPY deploy/requirements.txt ./
RUN python -m venv /opt/llmproxy \
 && /opt/llmproxy/bin/pip install --no-cache-dir --disable-pip-version-check --require-hashes -r requirements.txt
COPY pyproject.toml README.md LICENSE NOTICE ./
COPY llmproxy/ llmproxy/
COPY adapters/ adapters/
COPY --from=page /src/llmproxy/static/ llmproxy/static/
RUN /opt/llmproxy/bin/pip install --no-cache-dir --disable-pip-version-check --no-deps --no-build-isolation '.[fast,postgres,redis]' \
 && /opt/llmproxy/bin/pip uninstall --yes --quiet setuptools pip

FROM ${PYTHON_IMAGE}
RUN useradd --uid 65532 --user-group --no-create-home --shell /usr/sbin/nologin llmproxy \
 && install -d -o llmproxy -g llmproxy /data /config
COPY --from=wheel /opt/llmproxy /opt/llmproxy
ENV PATH=/opt/llmproxy/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    LLMPROXY_DATA_DIR=/data \
    LLMPROXY_DISCOVER=0
# By number: Kubernetes must see that it is not root.
USER 65532:65532
# Where llmproxy.toml is looked for.
WORKDIR /config
VOLUME /data
EXPOSE 8811
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s --retries=3 \
  CMD ["python", "-c", "import os, urllib.request as u; u.urlopen(f\"http://127.0.0.1:{os.environ.get('LLMPROXY_PORT', 8811)}/livez\", timeout=2)"]
# Loopback inside the container, as everywhere: enough for a sidecar that shares the network (see compose.yaml). To publish
# the port, set LLMPROXY_HOST=0.0.0.0 and LLMPROXY_KEY; without a key the gateway refuses to listen there.
ENTRYPOINT ["llmproxy", "serve"]
