// What the tests of the http source share: a source with defaults, closed at the test's end.
import { onTestFinished } from "vitest";
import { httpSource, type HttpSourceSettings } from "../../../importer/sources/index.ts";
import type { Source } from "../../../src/datapath/index.ts";
import { silentLog } from "../../../src/lib/log.ts";

/** "name.cdi.test" is 127.0.0.1, so that names no_proxy leaves alone can be used. */
export const testHosts = (name: string): readonly string[] | undefined =>
  name.endsWith(".test") ? ["127.0.0.1"] : undefined;

export function sourceOf(url: string, settings: Partial<HttpSourceSettings> = {}): Source {
  const defaults = { headers: [], secretHeaders: [], ca: [], insecure: false, proxy: {}, log: silentLog };
  const source = httpSource({ url, hosts: testHosts, ...defaults, ...settings });
  onTestFinished(() => source.close());
  return source;
}

export const never = (): AbortSignal => new AbortController().signal;
