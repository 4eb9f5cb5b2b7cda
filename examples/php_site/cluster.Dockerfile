# Tidegate and the cluster. Built from the repository's root; a project of yours installs it by `pip install tidegate`.
FROM python:3.12-slim
WORKDIR /source
COPY pyproject.toml README.md LICENSE ./
COPY src src
RUN pip install --no-cache-dir . && rm -rf /source
WORKDIR /app
COPY examples/php_site/cluster.py .
USER nobody
ENV TIDEGATE_RUN_DIR=/tmp/tidegate
EXPOSE 7272
CMD ["tidegate", "start", "cluster.py"]
