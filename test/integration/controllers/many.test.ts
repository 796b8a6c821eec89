// Fifty imports at once: all end well, and none costs more writes than it has news.
import { expect, test } from "vitest";
import type { Pod } from "../../../src/api/core.ts";
import { kinds } from "../../../src/api/kinds.ts";
import { aDataVolume, isRunning, terminated } from "../../support/objects.ts";
import { play } from "./kubelet.ts";

test("fifty DataVolumes at once", async () => {
  const world = await play();
  const names = Array.from({ length: 50 }, (_, at) => `disk-${at}`);
  const made = names.map((name) => ({ ...aDataVolume({ name }), metadata: { name, namespace: "default" } }));
  await Promise.all(made.map((one) => world.client.create(one, kinds.dataVolume)));
  await Promise.all(
    names.map(async (name) => {
      await world.until<Pod>(kinds.pod, `importer-${name}`, () => true);
      await world.bind(name);
      await world.setPod(`importer-${name}`, "Running", isRunning);
    }),
  );
  await Promise.all(
    names.map((name) => world.setPod(`importer-${name}`, "Succeeded", terminated(0, '{"message":"Import Complete"}'))),
  );
  await Promise.all(
    names.map((name) =>
      world.until(kinds.dataVolume, name, ({ status }) => (status as { phase?: string })?.phase === "Succeeded"),
    ),
  );
  await Promise.all(names.map((name) => world.untilGone(kinds.pod, `importer-${name}`)));
  // Four of each is usual; a write that met a conflict is tried again and counts too.
  expect(world.controllers.counts.get("patch datavolumes")).toBeLessThan(50 * 14);
  expect(world.controllers.counts.get("patch persistentvolumeclaims")).toBeLessThan(50 * 12);
  expect(world.controllers.counts.get("tell ImportSucceeded")).toBeLessThan(50 * 3);
});
