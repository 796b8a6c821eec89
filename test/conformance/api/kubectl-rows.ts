// kubectl's verbs over the API in general, with each kubectl at hand: what a user sees of apply, diff, edit, explain and patch.
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { kubectlFor, kubectls, type Kubectl } from "../../support/kubectls.ts";
import { group, namespace } from "./place.ts";

const manifest = (name: string, spec: string): string => `
apiVersion: ${group}/v1
kind: Thing
metadata:
  name: ${name}
spec: ${spec}
`;

/** Describes the rows for each kubectl; the suite's kinds and namespace are there. */
export function kubectlMustWork(kubeconfigFile: () => string): void {
  describe.each(kubectls)("$name", ({ binary }) => {
    let home: string;
    let kubectl: Kubectl;
    /** Arguments behind the words of a program and its environment. */
    let editing: Kubectl;
    let minor = 0;
    const inPlace = ["-n", namespace];
    const absent = binary === undefined;
    const prefix = binary === kubectls[0]?.binary ? "new" : "old";
    const created = (name: string): string => `thing.${group}/${prefix}-${name}`;

    beforeAll(async () => {
      home = await mkdtemp(join(tmpdir(), "cdi-kubectl-"));
      kubectl = kubectlFor(binary ?? "", kubeconfigFile(), home);
      editing = kubectlFor("env", kubeconfigFile(), home);
      if (absent) return;
      const shown = JSON.parse(await kubectl.run(["version", "--client", "-o", "json"])) as {
        clientVersion: { minor: string };
      };
      minor = Number.parseInt(shown.clientVersion.minor, 10);
    });
    afterAll(() => rm(home, { recursive: true, force: true }));
    const spec = async (name: string): Promise<unknown> =>
      JSON.parse(await kubectl.run(["get", "thing", `${prefix}-${name}`, ...inPlace, "-o", "jsonpath={.spec}"]));

    test.skipIf(absent)("explain shows the fields, all the way down", async () => {
      const shown = await kubectl.run(["explain", "things.spec", "--recursive"]);
      expect(shown).toMatch(/size\s+<integer>/);
      expect(shown).toMatch(/keyed\s+<\[\]Object>\s[^]*value\s+<string>/);
      expect(await kubectl.run(["explain", "thing.spec.size"])).toMatch(/integer/);
      expect(await kubectl.fails(["explain", "things.spec.none"])).toMatch(/none/);
    });

    test.skipIf(absent)("api-resources lists short names, group and kind", async () => {
      expect(await kubectl.run(["api-resources", `--api-group=${group}`])).toMatch(/^things\s+thg\s+.*true\s+Thing$/m);
      expect(await kubectl.run(["get", "--raw", "/readyz"])).toBe("ok");
    });

    test.skipIf(absent)("apply on the server's side: created, in conflict, by force", async () => {
      const apply = ["apply", "--server-side", ...inPlace, "-f", "-"];
      const one = manifest(`${prefix}-applied`, "{size: 1}");
      expect(await kubectl.run([...apply, "--field-manager=a"], one)).toContain(
        `${created("applied")} serverside-applied`,
      );
      const other = manifest(`${prefix}-applied`, "{size: 2}");
      expect(await kubectl.fails([...apply, "--field-manager=b"], other)).toMatch(
        /Apply failed with 1 conflict: conflict with "a": \.spec\.size/,
      );
      await kubectl.run([...apply, "--field-manager=b", "--force-conflicts"], other);
      expect(await spec("applied")).toMatchObject({ size: 2 });
    });

    test.skipIf(absent)("apply validates: a misspelt field is told of", async ({ skip }) => {
      if (minor < 25) skip("this kubectl validates by itself");
      const wrong = manifest(`${prefix}-strict`, "{sise: 1}");
      const strict = ["apply", "--validate=strict", ...inPlace, "-f", "-"];
      expect(await kubectl.fails(strict, wrong)).toMatch(/strict decoding error: unknown field "spec\.sise"/);
      expect(await kubectl.fails(["get", "thing", `${prefix}-strict`, ...inPlace])).toContain("not found");
      await kubectl.run(["apply", "--validate=false", ...inPlace, "-f", "-"], wrong);
    });

    test.skipIf(absent)("diff shows what apply would change, and changes nothing", async () => {
      await kubectl.run(["apply", ...inPlace, "-f", "-"], manifest(`${prefix}-diff`, "{size: 1}"));
      const shown = await kubectl.fails(["diff", ...inPlace, "-f", "-"], manifest(`${prefix}-diff`, "{size: 7}"));
      expect(shown).toMatch(/^-\s+size: 1$/m);
      expect(shown).toMatch(/^\+\s+size: 7$/m);
      expect(await spec("diff")).toMatchObject({ size: 1 });
      expect(await kubectl.run(["diff", ...inPlace, "-f", "-"], manifest(`${prefix}-diff`, "{size: 1}"))).toBe("");
    });

    test.skipIf(absent)("edit writes what the editor left", async () => {
      await kubectl.run(["apply", ...inPlace, "-f", "-"], manifest(`${prefix}-edit`, "{size: 1}"));
      const editor = join(home, "editor");
      await writeFile(editor, '#!/bin/sh\nsed -i "s/^  size: 1$/  size: 5/" "$1"\n', { mode: 0o755 });
      const edit = [`KUBE_EDITOR=${editor}`, binary ?? "", "edit", "thing", `${prefix}-edit`, ...inPlace];
      expect(await editing.run(edit)).toContain(`${created("edit")} edited`);
      expect(await spec("edit")).toMatchObject({ size: 5 });
      await editing.run(edit);
      expect(await spec("edit")).toMatchObject({ size: 5 });
    });

    test.skipIf(absent)("the three kinds of patch", async () => {
      await kubectl.run(["apply", ...inPlace, "-f", "-"], manifest(`${prefix}-patch`, "{size: 1}"));
      const patch = ["patch", "thing", `${prefix}-patch`, ...inPlace];
      await kubectl.run([...patch, "--type=merge", "-p", '{"spec":{"size":2}}']);
      expect(await spec("patch")).toMatchObject({ size: 2 });
      await kubectl.run([...patch, "--type=json", "-p", '[{"op":"replace","path":"/spec/size","value":3}]']);
      expect(await spec("patch")).toMatchObject({ size: 3 });
      expect(await kubectl.fails([...patch, "--type=strategic", "-p", '{"spec":{"size":4}}'])).toMatch(
        /not supported|UnsupportedMediaType/,
      );
      await kubectl.run(["create", "configmap", `${prefix}-patch`, ...inPlace, "--from-literal=a=1"]);
      const map = ["configmap", `${prefix}-patch`, ...inPlace];
      await kubectl.run(["patch", ...map, "--type=strategic", "-p", '{"data":{"b":"2"}}']);
      expect(JSON.parse(await kubectl.run(["get", ...map, "-o", "jsonpath={.data}"]))).toEqual({ a: "1", b: "2" });
    });

    test.skipIf(absent)("label, annotate, scale and wait", async () => {
      await kubectl.run(["apply", ...inPlace, "-f", "-"], manifest(`${prefix}-scaled`, "{replicas: 1}"));
      const one = [`thing/${prefix}-scaled`, ...inPlace];
      await kubectl.run(["label", ...one, "a=b"]);
      await kubectl.run(["annotate", ...one, "note=this"]);
      expect(await kubectl.run(["scale", ...one, "--replicas=4"])).toContain("scaled");
      expect(await spec("scaled")).toMatchObject({ replicas: 4 });
      expect(await kubectl.run(["get", "things", ...inPlace, "-l", "a=b", "-o", "name"])).toContain(created("scaled"));
      await kubectl.run(["delete", ...one]);
      expect(await kubectl.fails(["get", ...one])).toContain("not found");
      const established = ["wait", "--for=condition=Established", `crd/things.${group}`, "--timeout=30s"];
      expect(await kubectl.run(established)).toContain("condition met");
    });

    test.skipIf(absent)("auth can-i, for oneself and for another", async () => {
      expect(await kubectl.run(["auth", "can-i", "get", "things", ...inPlace])).toContain("yes");
      const other = ["--as", "conformance-nobody", ...inPlace];
      expect(await kubectl.fails(["auth", "can-i", "get", "things", ...other])).toContain("no");
      expect(await kubectl.fails(["get", "things", ...other])).toContain(
        `things.${group} is forbidden: User "conformance-nobody" cannot list resource "things" in API group "${group}" in the namespace "${namespace}"`,
      );
    });
  });
}
