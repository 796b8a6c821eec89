// Door of the telemetry room: what a program writes about itself.
export { levelOf, makeLog, type LogSettings } from "./log.ts";
export { makeRegistry, type MetricRow } from "./metrics.ts";
export { serveMetrics, type EndpointSettings, type MetricsEndpoint } from "./endpoint.ts";
