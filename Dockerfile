# ess-server in an image of its own: no root, nothing written, so it runs with a read-only root filesystem.
#
#   docker build -t ess-server .
#   docker run --read-only --cap-drop ALL --security-opt no-new-privileges --stop-timeout 40 \
#     -p 9000:9000 -e ESS_OPEN=true ess-server
#
# ESS_OPEN=true lets everybody send who reaches it; docs/deploying.md has tokens instead.

FROM node:22-slim AS build
WORKDIR /build
COPY package.json package-lock.json .npmrc ./
# None of them has a script to run; with npm, that is not left to luck.
RUN npm ci --ignore-scripts
COPY tsconfig.base.json tsconfig.json LICENSE ./
COPY scripts scripts
COPY shared shared
COPY server server
COPY client client
COPY web web
RUN npm run build && npm prune --omit=dev --ignore-scripts

FROM node:22-slim
ENV NODE_ENV=production \
    ESS_HOST=0.0.0.0 \
    ESS_LOG=json \
    ESS_ADMIN=127.0.0.1:9001
WORKDIR /app
COPY --from=build /build/package.json ./
COPY --from=build /build/node_modules node_modules
COPY --from=build /build/dist dist
# The image's own user "node", as a number: Kubernetes can tell that it is not root.
USER 1000:1000
EXPOSE 9000
# The drain begins; give it --stop-timeout beyond ESS_DRAIN (30 s).
STOPSIGNAL SIGTERM
# There is no curl in the image. Alive is what it asks for: one that drains is, too. Podman and buildah leave it out,
# unless they build with --format docker: OCI's images know no health check.
HEALTHCHECK --interval=30s --timeout=5s --start-period=10s \
  CMD ["node", "-e", "fetch('http://127.0.0.1:9001/health').then(({ ok }) => process.exit(ok ? 0 : 1), () => process.exit(1))"]
ENTRYPOINT ["node", "/app/dist/server/main.js"]
