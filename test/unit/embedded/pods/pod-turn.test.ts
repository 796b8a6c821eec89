// When a pod of several containers takes its turn, and when it gives it back.
import { expect, test } from "vitest";
import { podTurn } from "../../../../src/embedded/pods/pod-turn.ts";

type Step = "enter" | "enter without" | "leave" | "rest";

test.each<{ when: string; steps: Step[]; did: string }>([
  { when: "one container", steps: ["enter", "leave"], did: "take give" },
  { when: "two at once", steps: ["enter", "enter", "leave", "leave"], did: "take give" },
  { when: "one after the other", steps: ["enter", "leave", "enter", "leave"], did: "take give take give" },
  { when: "a server", steps: ["enter without", "leave"], did: "" },
  {
    when: "a rest, and the other comes",
    steps: ["enter", "rest", "enter", "leave", "leave"],
    did: "take give take give",
  },
  { when: "a rest, and both end", steps: ["enter", "rest", "leave"], did: "take give" },
  { when: "two rests", steps: ["enter", "rest", "rest", "leave"], did: "take give" },
  {
    when: "one that starts again while the other is waited for",
    steps: ["enter", "rest", "leave", "enter without", "enter", "leave", "leave"],
    did: "take give take give",
  },
])("$when", async ({ steps, did }) => {
  const done: string[] = [];
  const turn = podTurn(() => {
    done.push("take");
    return Promise.resolve(() => void done.push("give"));
  });
  for (const step of steps) {
    if (step === "enter" || step === "enter without") await turn.enter(step === "enter without");
    else turn[step]();
    await Promise.resolve();
  }
  await Promise.resolve();
  expect(done.join(" ")).toBe(did);
});

test("a turn that does not come is told to all who wait for it, and taken anew later", async () => {
  const turns = [Promise.reject(new Error("the pod is being ended")), Promise.resolve(() => undefined)];
  const turn = podTurn(() => turns.shift() ?? Promise.reject(new Error("none left")));
  const both = await Promise.allSettled([turn.enter(false), turn.enter(false)]);
  expect(both.map(({ status }) => status)).toEqual(["rejected", "rejected"]);
  await turn.enter(false);
  expect(turns).toEqual([]);
});
